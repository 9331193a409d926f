/** Attention as a soft dictionary: how similar each key is, how much each counts, and what is retrieved. */
import { Formula } from "../formula";
import { Machine } from "../machine";
import { cellText } from "../numbers";
import { Bars } from "../plots/bars";
import { Temperature } from "../sharpness";
import type { SceneProps } from "./table";

export function Lookup({ store }: SceneProps) {
  const { scores, weights, output } = store.steps.value;
  const row = store.row.value;
  const { value } = store.traits;
  const keys = value.value.map((_, at) => store.label("key", at));
  const name = `“${store.label("query", row)}”`;
  const numbers = value.value.map((vector) => vector[0]!);
  const mean = numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
  return (
    <>
      <div class="controls">
        <Temperature store={store} />
      </div>
      {!store.isVeiled("output") && (
        <div class="plots">
          <Bars
            title={
              <>
                <b>Similarity</b> of {name} to each key
              </>
            }
            part="similarity"
            values={scores[row]!}
            labels={keys}
          />
          <Bars
            title={<b>Weights</b>}
            part="retrieval"
            values={weights[row]!}
            labels={keys}
            low={0}
            high={1}
          />
          <Bars
            title={
              <>
                <b>Values</b>, and what {name} retrieves:{" "}
                <b data-part="retrieved">{cellText(output[row]![0]!)}</b>
              </>
            }
            part="retrieved-values"
            values={numbers}
            labels={keys}
            quiet
            lines={[
              { at: output[row]![0]!, label: "retrieved" },
              { at: mean, label: `plain mean ${cellText(mean)}`, dashed: true },
            ]}
          />
        </div>
      )}
      <Formula store={store} />
      <Machine store={store} without={["mask"]} />
    </>
  );
}

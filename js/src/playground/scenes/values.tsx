/** Weight and effect side by side: what is summed is weight times value. */
import { Formula } from "../formula";
import { Machine } from "../machine";
import { Bars } from "../plots/bars";
import { Temperature } from "../sharpness";
import type { SceneProps } from "./table";

const size = (vector: readonly number[]) => Math.hypot(...vector);

export function Values({ store }: SceneProps) {
  const { weights } = store.steps.value;
  const row = store.row.value;
  const { value } = store.traits;
  const keys = value.value.map((_, at) => store.label("key", at));
  const added = value.value.map((vector, at) => vector.map((number) => number * weights[row]![at]!));
  const longest = Math.max(...value.value.map(size), 1e-9);
  return (
    <>
      <div class="controls">
        <Temperature store={store} />
      </div>
      {!store.isVeiled("output") && (
        <div class="plots">
          <Bars title={<b>Weight</b>} part="weight" values={weights[row]!} labels={keys} low={0} high={1} />
          <Bars
            title={<b>Length of the value</b>}
            part="value-length"
            values={value.value.map(size)}
            labels={keys}
            low={0}
            high={longest}
            quiet
          />
          <Bars
            title={
              <>
                <b>Length of weight × value</b>: what it adds
              </>
            }
            part="effect"
            values={added.map(size)}
            labels={keys}
            low={0}
            high={longest}
          />
        </div>
      )}
      <Formula store={store} />
      <Machine store={store} without={["mask"]} />
    </>
  );
}

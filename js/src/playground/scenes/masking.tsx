/** What a mask does to the rows, and what programs make of a row that sees nothing. */
import { Formula } from "../formula";
import { Machine } from "../machine";
import { cellText } from "../numbers";
import { Scaling, Temperature } from "../sharpness";
import type { Store } from "../store";
import type { SceneProps } from "./table";

const RULES = ["none", "causal"] as const;

export function Masking({ store }: SceneProps) {
  const { traits } = store;
  const empty = store.visible.value.findIndex((row) => !row.includes(true));
  return (
    <>
      <div class="controls">
        <div class="segments" role="group" aria-label="Mask">
          {RULES.map((rule) => (
            <button
              type="button"
              key={rule}
              data-part={`mask-${rule}`}
              aria-pressed={traits.mask.value === rule}
              aria-disabled={store.isLocked("mask")}
              onClick={() => !store.isLocked("mask") && store.change({ mask: rule })}
            >
              {rule}
            </button>
          ))}
          <span class="note">{typeof traits.mask.value === "string" ? "" : "drawn by hand"}</span>
        </div>
        <Scaling store={store} />
        <Temperature store={store} />
      </div>
      {empty >= 0 && <Nothing store={store} row={empty} />}
      <Formula store={store} />
      <Machine store={store} />
    </>
  );
}

/** The three answers of programs to a row that sees nothing. */
function Nothing({ store, row }: { store: Store; row: number }) {
  const keys = store.traits.key.value.length;
  const answers: [string, string, string][] = [
    [
      "NaN",
      "NaN",
      "0 / 0 as it is: PyTorch's nn.MultiheadAttention where it returns weights, and the tables below",
    ],
    ["0", "0.00", "an output of zero: PyTorch's scaled_dot_product_attention, and fused kernels"],
    [
      "uniform",
      cellText(1 / keys),
      "every key alike: where hidden scores are a large negative number and not −∞, as in transformers",
    ],
  ];
  return (
    <section class="nothing" data-part="nothing">
      <h3>
        “{store.label("query", row)}” sees nothing, so exp(−∞) sums to 0, and each weight is 0 / 0. Programs
        say:
      </h3>
      <dl>
        {answers.map(([name, weight, where]) => (
          <div key={name}>
            <dt>
              {Array.from({ length: keys }, (_, key) => (
                <span class="number" key={key}>
                  {weight}
                </span>
              ))}
            </dt>
            <dd>{where}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

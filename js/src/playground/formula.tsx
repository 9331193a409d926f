/** The formula, in the order in which it is computed; the step under the pointer is lit here and in its table. */
import type { ComponentChildren } from "preact";
import { widthOf } from "../attention/steps";
import { chosenText } from "./numbers";
import type { Step, Store } from "./store";

export function Formula({ store }: { store: Store }) {
  const { traits } = store;
  const width = widthOf(traits.query.value);
  const { scaling, temperature } = traits;
  const T = temperature.value;
  const factor =
    scaling.value === null ? (
      <>
        {" / "}√{width}
      </>
    ) : scaling.value === 1 ? null : (
      ` × ${chosenText(scaling.value)}`
    );
  const masked = traits.mask.value !== "none";

  return (
    <p class="equation" data-part="formula" onPointerLeave={() => (store.lit.value = null)}>
      <Part store={store} step="output">
        output ={" "}
        <Part store={store} step="weights">
          softmax(
          <Part store={store} step="scaled">
            {" "}
            <Part store={store} step="scores">
              <Part store={store} step="query">
                Q
              </Part>
              <Part store={store} step="key">
                K<sup>T</sup>
              </Part>
            </Part>
            {factor}
            {T !== 1 && ` / ${chosenText(T)}`}
          </Part>
          {masked && (
            <>
              {" + "}
              <Part store={store} step="mask">
                mask
              </Part>
            </>
          )}{" "}
          )
        </Part>{" "}
        <Part store={store} step="value">
          V
        </Part>
      </Part>
    </p>
  );
}

function Part({ store, step, children }: { store: Store; step: Step; children: ComponentChildren }) {
  return (
    <span
      class="part"
      data-step={step}
      data-part={`formula-${step}`}
      data-lit={store.lit.value === step}
      onPointerOver={(event) => {
        event.stopPropagation();
        store.lit.value = step;
      }}
    >
      {children}
    </span>
  );
}

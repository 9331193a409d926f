/** One query at four temperatures beside the chosen one: the same scores, from soft to hard. */
import { entropyOf, rangesOf, softmax, summed } from "../../attention/steps";
import { Formula } from "../formula";
import { Machine } from "../machine";
import { cellText, chosenText } from "../numbers";
import { Bars } from "../plots/bars";
import { Temperature as Dial } from "../sharpness";
import type { SceneProps } from "./table";

const STOPS = [10, 1, 0.1, 0.01];

export function Temperature({ store }: SceneProps) {
  const { scores, visible } = store.steps.value;
  const row = store.row.value;
  const { value, temperature } = store.traits;
  const keys = value.value.map((_, at) => store.label("key", at));
  const most = rangesOf(visible)[row]!;
  const at = (T: number) => {
    const weights = softmax(
      scores[row]!.map((score) => (score * store.factor.value) / T),
      visible[row]!,
    );
    return { T, weights, retrieved: summed([weights], value.value)[0]!, entropy: entropyOf(weights) };
  };
  const panels = [...STOPS.map(at), at(temperature.value)];
  return (
    <>
      <div class="controls">
        <Dial store={store} />
      </div>
      {!store.isVeiled("output") && (
        <div class="plots">
          {panels.map(({ T, weights, retrieved, entropy }, panel) => {
            const chosen = panel === STOPS.length;
            return (
              <Bars
                key={chosen ? "chosen" : T}
                part={chosen ? "chosen-temperature" : "stop-temperature"}
                title={
                  <>
                    <b>T = {chosenText(T)}</b> {chosen && "chosen"}
                  </>
                }
                values={weights}
                labels={keys}
                low={0}
                high={1}
                digits={3}
                quiet={!chosen}
              >
                <p class="note">
                  retrieved <b>{retrieved.map((number) => cellText(number, 3)).join(", ")}</b>
                  <br />
                  entropy {cellText(entropy)} of {cellText(most)}
                </p>
              </Bars>
            );
          })}
        </div>
      )}
      <Formula store={store} />
      <Machine store={store} without={["mask"]} />
    </>
  );
}

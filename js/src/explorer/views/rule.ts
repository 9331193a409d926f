/** The softmax of a layer in words: the rule with the model's own factor in it, and a cell's numbers step by step. */
import type { CellNumbers } from "../../attention/cell";
import { measured, powered, written } from "../../drawing/words";
import type { ScoreFacts } from "../../host/facts";

export interface Sharpness {
  temperature: number;
  scaling: number;
}

export interface Step {
  /** Names the step to a test. */
  name: "product" | "score" | "limited" | "log" | "turned" | "exp" | "weight";
  operation: string;
  text: string;
  value: number;
}

/** A factor that was computed is the root, or the whole number, that it was computed from. */
const near = (one: number, other: number): boolean => Math.abs(one - other) <= 1e-4 * other;

/** What undoes the model's own factor; null where there is none to undo, or its scores are more than a product. */
export function unscaled({ scaling, width, bias, softcap, sinks }: ScoreFacts): number | null {
  if (bias || softcap !== undefined || sinks || near(scaling, 1) || !(scaling > 0)) return null;
  return near(1 / scaling, Math.sqrt(width)) ? Math.sqrt(width) : 1 / scaling;
}

/** √d where the model divides by it; null where it does not. */
export const rootOf = ({ scaling, width }: ScoreFacts): number | null =>
  width > 1 && near(1 / scaling, Math.sqrt(width)) ? Math.sqrt(width) : null;

/** The model's own factor: " / √32"; empty where it is 1. */
function own(made: ScoreFacts): string {
  if (near(made.scaling, 1)) return "";
  if (rootOf(made) !== null) return ` / √${made.width}`;
  const inverse = 1 / made.scaling;
  const whole = Math.round(inverse);
  return whole > 1 && near(inverse, whole) ? ` / ${whole}` : ` × ${written(made.scaling)}`;
}

/** What the sliders do to the scores: " × √32 / 0.5"; empty where they do nothing. */
function turnedBy({ temperature, scaling }: Sharpness, made: ScoreFacts | null): string {
  const root = made && rootOf(made);
  const factor = root !== null && near(scaling, root) ? `√${made!.width}` : written(scaling);
  return `${scaling === 1 ? "" : ` × ${factor}`}${temperature === 1 ? "" : ` / ${written(temperature)}`}`;
}

/** The rule of a layer; its scores are a name where it is not known what they are made of, or that is a long story. */
export function ruleOf(made: ScoreFacts | null, sharpness: Sharpness): string {
  const turned = turnedBy(sharpness, made);
  return `softmax(${scoresIn(made, turned !== "")}${turned})`;
}

function scoresIn(made: ScoreFacts | null, more: boolean): string {
  if (!made || (made.bias && made.softcap !== undefined)) return "scores";
  const scaled = `q·k${own(made)}`;
  if (made.softcap !== undefined)
    return `${written(made.softcap)} tanh(${scaled} / ${written(made.softcap)})`;
  if (!made.bias) return scaled;
  return more ? `(${scaled} + bias)` : `${scaled} + bias`;
}

/** What the rule does not say of itself; `shared` is whose keys these are, where heads share them. */
export function notesOf(made: ScoreFacts | null, shared: string | null): string[] {
  if (!made) return [];
  return [
    made.bias && made.softcap !== undefined
      ? `The scores are q·k${own(made)} with a bias added, capped at ${written(made.softcap)}.`
      : made.bias
        ? "The bias is what the model adds for a pair of places."
        : "",
    near(made.scaling, 1)
      ? "This q·k has no factor: the model scales its queries itself, or not at all."
      : "",
    shared ? `k is that of ${shared}.` : "",
    made.sinks ? "A sink, which is no key, takes part in the sum." : "",
  ].filter(Boolean);
}

const step = (name: Step["name"], operation: string, value: number, text = measured(value)): Step => ({
  name,
  operation,
  text,
  value,
});

/** From exp to the weight. */
const ending = (turned: number, logSum: number, weight: number): Step[] => [
  step("exp", "exp", Math.exp(turned), powered(turned)),
  step("weight", `/ sum ${powered(logSum)}`, weight, measured(weight, 3)),
];

/** Of a cell whose scores are known. */
export function stepsOf(numbers: CellNumbers, made: ScoreFacts, sharpness: Sharpness): Step[] {
  const turned = turnedBy(sharpness, made);
  const factor = own(made);
  const limited = [
    made.bias ? "+ bias" : "",
    made.softcap === undefined ? "" : `cap ${written(made.softcap)}`,
  ].filter(Boolean);
  return [
    step("product", "q·k", numbers.product),
    ...(factor ? [step("score", factor.trim(), numbers.product * made.scaling)] : []),
    ...(limited.length > 0 ? [step("limited", limited.join(", "), numbers.score)] : []),
    ...(turned ? [step("turned", turned.trim(), numbers.turned)] : []),
    ...ending(numbers.turned, numbers.logSum, numbers.weight),
  ];
}

/** Of a cell of which the weight alone is known: its logarithm is the score, less one constant of the row. */
export function stepsOfWeight(log: number, weight: number, sharpness: Sharpness): Step[] {
  const turned = turnedBy(sharpness, null);
  const product = (log * sharpness.scaling) / sharpness.temperature;
  if (!turned) return [step("log", "log weight", log), step("weight", "exp", weight, measured(weight, 3))];
  return [
    step("log", "log weight", log),
    step("turned", turned.trim(), product),
    ...ending(product, product - Math.log(weight), weight),
  ];
}

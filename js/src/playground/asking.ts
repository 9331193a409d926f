/** What the Playground knows of a lesson's question: the answer, and how it is said. */

import type { Asking } from "../lesson/card";
import type { Said } from "../lesson/facts";
import { cellText } from "./numbers";
import type { Store } from "./store";

const TIE = 1e-12;

export function askingOf(store: Store): Asking {
  const asked = () => store.lesson.facts.peek()?.predict ?? null;

  function answer() {
    const given = store.lesson.facts.peek()?.answer ?? null;
    const predict = asked();
    if (given !== null || !predict?.step) return given;
    // Several heads have no single table.
    if (store.traits.scene.peek() === "heads") return null;
    const steps = store.steps.peek();
    const row = predict.row ?? 0;
    if (predict.step === "entropy") return steps.entropy[row] ?? null;
    const numbers = steps[predict.step][row];
    if (!numbers) return null;
    if (predict.kind === "number") return numbers[predict.column ?? 0] ?? null;
    if (predict.kind === "bars") return numbers;
    const top = Math.max(...numbers);
    return numbers.flatMap((number, column) => (top - number <= TIE ? [[row, column]] : []));
  }

  function textOf(said: Said): string {
    if (typeof said === "number") return cellText(said, 3);
    const [row, column] = said as [number, number];
    return `“${store.label("query", row)}” with “${store.label("key", column)}”`;
  }

  return {
    answer,
    textOf,
    picked: store.picked,
    labels: () => store.traits.key.value.map((_, at) => store.label("key", at)),
    get hint() {
      const predict = asked();
      return `Click a cell of the row “${store.label("query", predict?.row ?? 0)}” in the ${predict?.step}.`;
    },
  };
}

/** Where a number comes from: in words, and which other numbers it was made of. */
import type { Rows } from "../attention/steps";
import { cellText, chosenText } from "./numbers";
import type { Cell, Step, Store } from "./store";

export interface Explained {
  /** What it is, as "score of “cat” and “sat”". */
  name: string;
  /** How it is made. */
  sum: string;
}

const sumOf = (one: readonly number[], other: readonly number[], digits = 2): string => {
  const terms = one.map((number, at) => `${cellText(number, digits)} · ${chosenText(other[at]!)}`);
  return terms.join(" + ").replaceAll("+ −", "− ");
};

const column = (rows: Rows, at: number): number[] => rows.map((row) => row[at]!);

export function explain(store: Store, cell: Cell): Explained {
  const { steps, traits, factor, visible } = store;
  const { row, column: at } = cell;
  const [query, key] = [`“${store.label("query", row)}”`, `“${store.label("key", at)}”`];
  const made = cell.head === undefined ? steps.value : store.heads.value[cell.head]!;
  const number = (rows: Rows, digits = 3) => cellText(rows[row]![at]!, digits);
  const T = traits.temperature.value;
  switch (cell.step) {
    case "query":
      return { name: `number ${at} of the query ${query}`, sum: chosenText(traits.query.value[row]![at]!) };
    case "key":
      return {
        name: `number ${at} of the key “${store.label("key", row)}”`,
        sum: chosenText(traits.key.value[row]![at]!),
      };
    case "value":
      return {
        name: `number ${at} of the value of “${store.label("key", row)}”`,
        sum: chosenText(traits.value.value[row]![at]!),
      };
    case "scores": {
      const turned = store.positions.value ? " after both were turned by their positions" : "";
      const terms = `${sumOf(traits.query.value[row]!, traits.key.value[at]!)} = `;
      return {
        name: `score of ${query} with ${key}${turned}`,
        sum: `${turned ? "" : terms}${number(made.scores)}`,
      };
    }
    case "scaled":
      return {
        name: `scaled score of ${query} with ${key}`,
        sum: `${number(made.scores)} × ${cellText(factor.value, 3)}${T === 1 ? "" : ` / ${chosenText(T)}`} = ${number(made.scaled)}`,
      };
    case "mask":
      return {
        name: `${query} ${visible.value[row]![at] ? "sees" : "does not see"} ${key}`,
        sum: visible.value[row]![at] ? "its score counts" : "its score becomes −∞, and exp(−∞) = 0",
      };
    case "weights": {
      const seen = made.scaled[row]!.filter((_, other) => made.visible[row]![other]);
      if (seen.length === 0)
        return { name: `weight of ${key} for ${query}`, sum: "0 / 0: there is nothing to share out" };
      const total = seen.reduce((sum, score) => sum + Math.exp(score), 0);
      const own = made.visible[row]![at] ? `exp(${number(made.scaled)})` : "0";
      return {
        name: `weight of ${key} for ${query}`,
        sum: `${own} / ${total > 1e-3 && total < 1e6 ? cellText(total, 3) : total.toExponential(2)} = ${number(made.weights)}`,
      };
    }
    case "output":
      return {
        name: `number ${at} of the output of ${query}`,
        sum: `${sumOf(made.weights[row]!, column(traits.value.value, at), 3)} = ${number(made.output)}`,
      };
  }
}

/** Whether a number is one of those that the cell that is pointed at was made of. */
export function isPart(cell: Cell | null, step: Step, row: number, column: number, head?: number): boolean {
  if (!cell) return false;
  if (cell.step === step) return cell.row === row && cell.column === column && cell.head === head;
  if (cell.head !== head && head !== undefined && cell.head !== undefined) return false;
  switch (cell.step) {
    case "scores":
      return (step === "query" && row === cell.row) || (step === "key" && row === cell.column);
    case "scaled":
      return step === "scores" && row === cell.row && column === cell.column;
    case "weights":
      return (step === "scaled" || step === "mask") && row === cell.row;
    case "output":
      return (step === "weights" && row === cell.row) || (step === "value" && column === cell.column);
    default:
      return false;
  }
}

/** Where a number comes from: in words, and which other numbers it was made of. */
import { type Rows, widthOf } from "../attention/steps";
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

/** Beyond this, exponentials are too large or too small to be written. */
const FAR = 100;
const TIED: readonly Step[] = ["query", "key", "value"];

const column = (rows: Rows, at: number): number[] => rows.map((row) => row[at]!);

/** The table that a number stands in; not every scene has every one. */
function tableOf(store: Store, { step, head }: Cell): readonly (readonly unknown[])[] | undefined {
  const { traits } = store;
  const made = head === undefined ? store.steps.value : store.heads.value[head];
  switch (step) {
    case "query":
    case "key":
    case "value":
      return traits[step].value;
    case "mask":
      return store.visible.value;
    case "first scores":
      return store.firstScores.value;
    case "mixing":
      return store.mixing.value;
    case "concatenated":
    case "mixed":
      if (traits.heads.value.length === 0) return undefined;
      return store.mixed.value[step === "mixed" ? "output" : "concatenated"];
    default:
      return made?.[step];
  }
}

/** Null where the number that was pointed at is gone. */
export function explain(store: Store, cell: Cell): Explained | null {
  if (tableOf(store, cell)?.[cell.row]?.[cell.column] === undefined) return null;
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
    case "scores":
    case "first scores": {
      const rows = cell.step === "scores" ? made.scores : store.firstScores.value;
      const turned = traits.rotary.value ? " after both were turned by their positions" : "";
      const terms = `${sumOf(traits.query.value[row]!, traits.key.value[at]!)} = `;
      return {
        name: `score of ${query} with ${key}${turned}`,
        sum: `${turned ? "" : terms}${number(rows)}`,
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
      // Exponentials that no number can hold are taken of what the scores are below the largest.
      const top = Math.max(...seen);
      const less = Math.abs(top) > FAR ? top : 0;
      const total = seen.reduce((sum, score) => sum + Math.exp(score - less), 0);
      const by = less === 0 ? "" : ` ${less > 0 ? "−" : "+"} ${cellText(Math.abs(less), 3)}`;
      const own = made.visible[row]![at] ? `exp(${number(made.scaled)}${by})` : "0";
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
    case "concatenated": {
      const [head, place] = headAt(store, at);
      const { weights, output } = store.heads.value[head]!;
      return {
        name: `number ${place} of what head ${head} gives ${query}`,
        sum: `${sumOf(weights[row]!, column(traits.value.value, place), 3)} = ${cellText(output[row]![place]!, 3)}`,
      };
    }
    case "mixing": {
      const [head, place] = headAt(store, row);
      return {
        name: `how much of number ${place} of head ${head} goes into number ${at} of the output`,
        sum: chosenText(store.mixing.value[row]![at]!),
      };
    }
    case "mixed": {
      const { concatenated, output } = store.mixed.value;
      return {
        name: `number ${at} of the output of ${query}`,
        sum: `${sumOf(concatenated[row]!, column(store.mixing.value, at), 3)} = ${number(output)}`,
      };
    }
  }
}

/** Which head a number of the outputs side by side is of, and which of its numbers. */
function headAt(store: Store, at: number): [head: number, place: number] {
  const width = widthOf(store.traits.value.value);
  return [Math.floor(at / width), at % width];
}

/** Whether a number is one of those that the cell that is pointed at was made of. */
export function isPart(store: Store, step: Step, row: number, column: number, head?: number): boolean {
  const cell = store.cell.value;
  if (!cell) return false;
  // Words that are queries, keys and values at once stand in the table of keys.
  const steps = step === "key" && store.scene.value?.tied ? TIED : [step];
  return steps.some((one) => goesInto(store, cell, { step: one, row, column, head }));
}

function goesInto(store: Store, cell: Cell, { step, row, column, head }: Cell): boolean {
  if (cell.step === step) return cell.row === row && cell.column === column && cell.head === head;
  if (cell.head !== head && head !== undefined && cell.head !== undefined) return false;
  switch (cell.step) {
    case "scores":
    case "first scores":
      return (step === "query" && row === cell.row) || (step === "key" && row === cell.column);
    case "scaled":
      return step === "scores" && row === cell.row && column === cell.column;
    case "weights":
      return (step === "scaled" || step === "mask") && row === cell.row;
    case "output":
      return (step === "weights" && row === cell.row) || (step === "value" && column === cell.column);
    case "concatenated": {
      const [of, place] = headAt(store, cell.column);
      if (step === "weights") return head === of && row === cell.row;
      return step === "value" && column === place;
    }
    case "mixed":
      return (step === "concatenated" && row === cell.row) || (step === "mixing" && column === cell.column);
    default:
      return false;
  }
}

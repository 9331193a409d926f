/** A number that follows from others: shown, still to be guessed, or a guess to be clicked. */
import { isPart } from "./explain";
import { cellText } from "./numbers";
import { shade } from "./shade";
import type { Step, Store } from "./store";

interface Props {
  store: Store;
  step: Step;
  part: string;
  head: number | undefined;
  row: number;
  column: number;
  value: number;
  /** Of the largest in its table. */
  share: number;
  scale: "weight" | "signed";
  /** Whether it does not count. */
  out: boolean;
  label: string;
}

export function ShownNumber({
  store,
  step,
  part,
  head,
  row,
  column,
  value,
  share,
  scale,
  out,
  label,
}: Props) {
  const veiled = store.isVeiled(step);
  const place = { "data-part": part, "data-row": row, "data-column": column };
  if (!veiled) {
    return (
      <span
        class="number"
        {...place}
        data-hidden={out}
        data-lit={isPart(store, step, row, column, head)}
        style={out ? {} : shade(share, scale)}
      >
        {out && step !== "weights" ? "−∞" : cellText(value, scale === "weight" ? 3 : 2)}
      </span>
    );
  }
  if (!store.canPick(step, row)) {
    return (
      <span class="number" {...place} data-veiled>
        ?
      </span>
    );
  }
  const picked = store.picked.value as readonly number[] | null;
  return (
    <button
      type="button"
      class="number"
      {...place}
      data-veiled
      aria-label={label}
      aria-pressed={picked?.[0] === row && picked[1] === column}
      onClick={() => (store.picked.value = [row, column])}
    >
      ?
    </button>
  );
}

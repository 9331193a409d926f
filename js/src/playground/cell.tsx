/** A number that can be turned, typed and pasted: a spin button, and a field when one types. */
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { chosenText, clamped, readNumber, STEP, tidy } from "./numbers";
import { shade } from "./shade";

interface Props {
  value: number;
  label: string;
  /** Of its place in the table. */
  part: string;
  row: number;
  column: number;
  tabIndex: 0 | -1;
  locked: boolean;
  /** Of the largest in its table. */
  share: number;
  isPart: boolean;
  hand: Hand;
}

/** What the table does for its numbers; one for all of them, so that only those are drawn again that have changed. */
export interface Hand {
  change: (row: number, column: number, value: number, gesture: string) => void;
  end: () => void;
  refuse: (sentence: string) => void;
  move: (by: { rows?: number; columns?: number }) => void;
}

/** Pixels of a drag for one step. */
const PIXELS = 4;

export function NumberCell(props: Props) {
  const { value, label, part, row, column, tabIndex, locked, share, hand } = props;
  const draft = useSignal<string | null>(null);
  /** Whether what is typed began with a key, and not with what stood there. */
  const begun = useRef(false);
  const here = useRef<HTMLSpanElement>(null);
  const drag = useRef<{ from: number; x: number; y: number; moved: boolean } | null>(null);
  const gesture = `turn ${part} ${row} ${column}`;

  function turn(to: number): void {
    const next = clamped(tidy(to));
    if (next !== value) hand.change(row, column, next, gesture);
  }

  function down(event: PointerEvent): void {
    if (locked || event.button !== 0 || draft.value !== null) return;
    drag.current = { from: value, x: event.clientX, y: event.clientY, moved: false };
    here.current?.setPointerCapture(event.pointerId);
  }

  function move(event: PointerEvent): void {
    const { current } = drag;
    if (!current) return;
    const far = event.clientX - current.x - (event.clientY - current.y);
    if (Math.abs(far) >= PIXELS) current.moved = true;
    if (!current.moved) return;
    event.preventDefault();
    turn(current.from + Math.round(far / PIXELS) * STEP * (event.shiftKey ? 0.1 : 1));
  }

  function up(event: PointerEvent): void {
    if (!drag.current) return;
    drag.current = null;
    here.current?.releasePointerCapture(event.pointerId);
    hand.end();
  }

  function type(key?: string): void {
    if (locked) return;
    begun.current = key !== undefined;
    draft.value = key ?? chosenText(value);
  }

  function apply(): boolean {
    if (draft.value === null) return true;
    const read = readNumber(draft.value);
    // What was only looked at keeps the digits that are not shown.
    const same = draft.value === chosenText(value);
    draft.value = null;
    if (same) return true;
    if (read.fault !== undefined) {
      hand.refuse(`${read.fault} ${chosenText(value)} stays.`);
      return false;
    }
    if (read.number !== value) hand.change(row, column, read.number, "");
    return true;
  }

  function press(event: KeyboardEvent): void {
    // The way back, and what is copied and pasted, are the widget's.
    if (event.ctrlKey || event.metaKey) return;
    const { key } = event;
    const fine = event.altKey ? 0.1 : event.shiftKey ? 10 : 1;
    if (key === "Enter" || key === "F2") type();
    else if (/^[\d.,−-]$/.test(key)) type(key);
    else if (!locked && key === "ArrowUp") turn(value + STEP * fine);
    else if (!locked && key === "ArrowDown") turn(value - STEP * fine);
    else if (key === "ArrowLeft") hand.move({ columns: -1 });
    else if (key === "ArrowRight") hand.move({ columns: 1 });
    else if (key === "PageUp") hand.move({ rows: -1 });
    else if (key === "PageDown") hand.move({ rows: 1 });
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  function inField(event: KeyboardEvent): void {
    event.stopPropagation();
    if (event.key === "Escape") draft.value = null;
    else if (event.key !== "Enter") return;
    else apply();
    here.current?.focus({ preventScroll: true });
  }

  if (draft.value !== null) {
    return (
      <span
        class="number typing"
        data-part={part}
        data-row={row}
        data-column={column}
        ref={here}
        tabIndex={-1}
      >
        <input
          data-part="typed"
          aria-label={label}
          inputMode="decimal"
          value={draft.value}
          ref={(field) => {
            if (!field || field.dataset.begun) return;
            field.dataset.begun = "true";
            field.focus({ preventScroll: true });
            // What stood there is written over; what was begun goes on.
            if (!begun.current) field.select();
          }}
          onInput={(event) => (draft.value = event.currentTarget.value)}
          onBlur={apply}
          onKeyDown={inField}
        />
      </span>
    );
  }
  return (
    <span
      class="number"
      ref={here}
      role="spinbutton"
      tabIndex={tabIndex}
      data-part={part}
      data-row={row}
      data-column={column}
      data-lit={props.isPart}
      data-locked={locked}
      aria-label={label}
      aria-valuenow={value}
      aria-valuetext={chosenText(value)}
      aria-readonly={locked}
      style={shade(share, "signed")}
      onPointerDown={down}
      onPointerMove={move}
      onPointerUp={up}
      onPointerCancel={up}
      onDblClick={() => type()}
      onKeyDown={press}
      onBlur={hand.end}
    >
      {chosenText(value)}
    </span>
  );
}

/** A small table of numbers with their colours: of what can be changed, and of what follows. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useMemo, useRef } from "preact/hooks";
import type { Rows } from "../attention/steps";
import { type Hand, NumberCell } from "./cell";
import { isPart } from "./explain";
import { readBlock } from "./numbers";
import { paste } from "./pasting";
import { ShownNumber } from "./shown";
import type { Step, Store } from "./store";

export interface Editing {
  onChange: (rows: Rows, gesture: string) => void;
  locked: boolean;
}

interface Props {
  store: Store;
  step: Step;
  /** What it is called in the page; the step's own where it is not said. */
  part?: string;
  title: ComponentChildren;
  rows: Rows;
  /** Names of rows and of columns; null for numbers that have none. */
  rowLabels: readonly string[] | null;
  columnLabels: readonly string[] | null;
  /** Whether its numbers go from 0 to 1, or to both sides of 0. */
  scale: "weight" | "signed";
  edit?: Editing;
  /** Cells that do not count. */
  hidden?: (row: number, column: number) => boolean;
  head?: number;
  /** Cells that are outlined. */
  marked?: (row: number, column: number) => boolean;
  /** Of a click on a row. */
  onRow?: (row: number) => void;
  chosenRow?: number;
  /** Where the columns of one kind end and those of the next begin. */
  groups?: number;
}

/** So many columns stand closer where there is little room. */
export const MANY = 8;
/** So many fit into any page. */
const MOST = 12;

export function NumberTable(props: Props) {
  const {
    store,
    step,
    part = step,
    title,
    rows,
    rowLabels,
    columnLabels,
    scale,
    edit,
    hidden,
    head,
    marked,
  } = props;
  const focus = useSignal({ row: 0, column: 0 });
  const here = useRef<HTMLTableElement>(null);
  const largest =
    scale === "weight" ? 1 : Math.max(1e-9, ...rows.flat().map(Math.abs).filter(Number.isFinite));
  const fault = store.fault.value?.place === part ? store.fault.value.sentence : "";
  const cell = store.cell.value;
  // What may be wider than the page is scrolled by keys too.
  const scrolls = (rows[0]?.length ?? 0) > MOST;
  const scrolled = scrolls ? { tabIndex: 0, role: "group" as const, "aria-label": part } : {};
  const veiled = !edit && store.isVeiled(step);

  function point(event: PointerEvent | FocusEvent): void {
    const at = (event.target as Element).closest<HTMLElement>("[data-row]");
    if (!at || !here.current?.contains(at)) return;
    const [row, column] = [Number(at.dataset.row), Number(at.dataset.column)];
    if (event instanceof FocusEvent) focus.value = { row, column };
    store.lit.value = step;
    store.cell.value = veiled ? null : { step, row, column, head };
  }

  function leave(): void {
    store.lit.value = null;
    store.cell.value = null;
  }

  const now = useRef(props);
  now.current = props;
  const hand = useMemo<Hand>(
    () => ({
      change: (row, column, value, gesture) =>
        now.current.edit?.onChange(replaced(now.current.rows, row, column, value), gesture),
      end: () => store.endGesture(),
      refuse: (sentence) => store.refuse(part, sentence),
      move: (by) => {
        const { rows: lines } = now.current;
        const width = lines[0]!.length;
        const row = Math.max(0, Math.min(lines.length - 1, focus.value.row + (by.rows ?? 0)));
        const at = row * width + focus.value.column + (by.columns ?? 0);
        const inside = Math.max(0, Math.min(lines.length * width - 1, at));
        here.current
          ?.querySelector<HTMLElement>(
            `.number[data-row="${Math.floor(inside / width)}"][data-column="${inside % width}"]`,
          )
          ?.focus({ preventScroll: true });
      },
    }),
    [store, part, focus],
  );

  function pasted(event: ClipboardEvent): void {
    if (!edit || (event.composedPath()[0] as Element).matches?.("input")) return;
    event.preventDefault();
    event.stopPropagation();
    const next = edit.locked ? "This is locked in this lesson." : pastedRows(event);
    if (typeof next === "string") store.refuse(part, next);
    else edit.onChange(next, "");
  }

  function pastedRows(event: ClipboardEvent): Rows | string {
    const read = readBlock(event.clipboardData?.getData("text/plain") ?? "");
    if (read.fault !== undefined) return `${read.fault} Everything stays as it was.`;
    return paste(rows, read.rows, focus.value);
  }

  const tab = (row: number, column: number): 0 | -1 => {
    const { row: r, column: c } = focus.value;
    const at = { row: Math.min(r, rows.length - 1), column: Math.min(c, rows[0]!.length - 1) };
    return at.row === row && at.column === column ? 0 : -1;
  };

  return (
    <figure class="step" data-step={step} data-part={`${part}-table`} data-lit={store.lit.value === step}>
      <figcaption>{title}</figcaption>
      <div class="wide" {...scrolled}>
        <table
          ref={here}
          class="numbers"
          data-many={(rows[0]?.length ?? 0) > MANY}
          onPointerOver={point}
          onPointerLeave={leave}
          onFocusIn={point}
          onFocusOut={leave}
          onPaste={pasted}
        >
          {columnLabels && (
            <thead>
              <tr>
                {rowLabels && <td />}
                {rows[0]?.map((_, column) => (
                  <th
                    scope="col"
                    key={column}
                    title={columnLabels[column]}
                    data-lit={cell?.step === step && cell.column === column}
                  >
                    <bdi>{columnLabels[column] || column}</bdi>
                  </th>
                ))}
              </tr>
            </thead>
          )}
          <tbody>
            {rows.map((line, row) => (
              <tr key={row} data-chosen={props.chosenRow === row}>
                {rowLabels && (
                  <th scope="row" title={rowLabels[row]} data-lit={cell?.step === step && cell.row === row}>
                    {props.onRow ? (
                      <button type="button" data-part={`${part}-row`} onClick={() => props.onRow?.(row)}>
                        <bdi>{rowLabels[row] || row}</bdi>
                      </button>
                    ) : (
                      <bdi>{rowLabels[row] || row}</bdi>
                    )}
                  </th>
                )}
                {line.map((number, column) => {
                  const out = hidden?.(row, column) ?? false;
                  const place = {
                    "data-group": Boolean(props.groups && column && column % props.groups === 0),
                  };
                  return (
                    <td key={column} {...place} data-marked={marked?.(row, column) ?? false}>
                      {edit ? (
                        <NumberCell
                          value={number}
                          label={nameOf(props, row, column)}
                          part={part}
                          row={row}
                          column={column}
                          tabIndex={tab(row, column)}
                          locked={edit.locked}
                          share={number / largest}
                          isPart={isPart(store, step, row, column, head)}
                          hand={hand}
                        />
                      ) : (
                        <ShownNumber
                          store={store}
                          step={step}
                          part={part}
                          head={head}
                          row={row}
                          column={column}
                          value={number}
                          share={number / largest}
                          scale={scale}
                          out={out}
                          label={nameOf(props, row, column)}
                        />
                      )}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {fault && (
        <p class="refused" role="alert" data-part={`${part}-refused`}>
          {fault}
        </p>
      )}
    </figure>
  );
}

function nameOf({ part, step, rowLabels, columnLabels }: Props, row: number, column: number): string {
  return `${part ?? step} ${rowLabels?.[row] || row}, ${columnLabels?.[column] || `number ${column}`}`;
}

export function replaced(rows: Rows, row: number, column: number, value: number): Rows {
  return rows.map((line, at) =>
    at === row ? line.map((old, other) => (other === column ? value : old)) : line,
  );
}

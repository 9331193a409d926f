/** What each query may see: each cell is a switch. */
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { isPart } from "./explain";
import type { Store } from "./store";
import { MANY } from "./table";

export function MaskTable({ store }: { store: Store }) {
  const visible = store.visible.value;
  const focus = useSignal({ row: 0, column: 0 });
  const here = useRef<HTMLTableElement>(null);
  /** What a drag over cells makes of them. */
  const drawing = useRef<boolean | null>(null);
  const locked = store.isLocked("mask");
  /** The cell that Tab comes to, in a mask that may have become smaller. */
  const stop = {
    row: Math.min(focus.value.row, visible.length - 1),
    column: Math.min(focus.value.column, visible[0]!.length - 1),
  };

  function set(row: number, column: number, sees: boolean): void {
    if (locked || visible[row]![column] === sees) return;
    const mask = visible.map((line, r) => line.map((old, c) => (r === row && c === column ? sees : old)));
    store.change({ mask }, drawing.current === null ? "" : "draw the mask");
  }

  const at = (event: Event) => {
    const button = (event.target as Element).closest<HTMLElement>("button[data-row]");
    return button ? { row: Number(button.dataset.row), column: Number(button.dataset.column) } : null;
  };

  function down(event: PointerEvent): void {
    const place = at(event);
    if (!place || event.button !== 0) return;
    // A finger that captures its cell would draw nothing else.
    (event.target as Element).releasePointerCapture?.(event.pointerId);
    drawing.current = !visible[place.row]![place.column];
    set(place.row, place.column, drawing.current);
  }

  function over(event: PointerEvent): void {
    const place = at(event);
    if (!place) return;
    store.lit.value = "mask";
    store.cell.value = { step: "mask", ...place };
    if (drawing.current !== null && event.buttons === 1) set(place.row, place.column, drawing.current);
  }

  function end(): void {
    drawing.current = null;
    store.endGesture();
  }

  function press(event: KeyboardEvent): void {
    const moves: Record<string, [number, number]> = {
      ArrowUp: [-1, 0],
      ArrowDown: [1, 0],
      ArrowLeft: [0, -1],
      ArrowRight: [0, 1],
    };
    const by = moves[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    const row = Math.max(0, Math.min(visible.length - 1, stop.row + by[0]));
    const column = Math.max(0, Math.min(visible[0]!.length - 1, stop.column + by[1]));
    here.current
      ?.querySelector<HTMLElement>(`[data-row="${row}"][data-column="${column}"]`)
      ?.focus({ preventScroll: true });
  }

  return (
    <figure class="step" data-step="mask" data-part="mask-table" data-lit={store.lit.value === "mask"}>
      <figcaption>
        <b>Mask</b>
        <small>{locked ? "" : "click to hide or show"}</small>
      </figcaption>
      <table
        class="numbers"
        data-many={visible[0]!.length > MANY}
        ref={here}
        onPointerDown={down}
        onPointerOver={over}
        onPointerUp={end}
        onPointerLeave={() => {
          end();
          store.lit.value = null;
          store.cell.value = null;
        }}
        onKeyDown={press}
      >
        <thead>
          <tr>
            <td />
            {visible[0]?.map((_, column) => (
              <th scope="col" key={column} title={store.label("key", column)}>
                <bdi>{store.label("key", column)}</bdi>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {visible.map((line, row) => (
            <tr key={row}>
              <th scope="row" title={store.label("query", row)}>
                <bdi>{store.label("query", row)}</bdi>
              </th>
              {line.map((sees, column) => (
                <td key={column}>
                  <button
                    type="button"
                    class="switch"
                    data-part="mask"
                    data-row={row}
                    data-column={column}
                    data-lit={isPart(store, "mask", row, column)}
                    aria-pressed={sees}
                    aria-disabled={locked}
                    aria-label={`${store.label("query", row)} sees ${store.label("key", column)}: ${sees ? "0" : "−∞"}`}
                    tabIndex={stop.row === row && stop.column === column ? 0 : -1}
                    onFocus={() => (focus.value = { row, column })}
                    // The pointer has set it already.
                    onClick={(event) => event.detail === 0 && set(row, column, !sees)}
                  >
                    {sees ? "0" : "−∞"}
                  </button>
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </figure>
  );
}

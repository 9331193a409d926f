/** Beside a block of cells that is marked: the button that cuts it, or why it cannot be cut. */
import type { ReadonlySignal } from "@preact/signals";
import { columnX, rowY } from "../../../drawing/geometry";
import { blockName } from "../../applying";
import { cutMarked } from "../../changing";
import type { Store } from "../../store";
import type { Stage } from "../map/stage";

const OFFSET = 6;

export function Cutting({ store, stage }: { store: Store; stage: ReadonlySignal<Stage | null> }) {
  const { applying } = store;
  const block = applying.marked.value;
  const map = store.map.value;
  if (!block || !map || !stage.value) return null;
  const { plot, width, entropyWidth } = stage.value;
  const window = store.window.value;
  const why = applying.refusalToCut(map);
  const right = columnX(plot, window, block.keys[1]);
  const below = rowY(plot, window, block.queries[1]);
  // It opens towards the middle, so that it never leaves the widget.
  const before = right > (width + entropyWidth) * 0.5;
  const above = below > plot.y + plot.height * 0.8;
  const style = {
    left: `${Math.max(plot.x, Math.min(before ? right : columnX(plot, window, block.keys[0]), width))}px`,
    top: `${above ? rowY(plot, window, block.queries[0]) - OFFSET : below + OFFSET}px`,
    transform: `translate(${before ? "-100%" : "0"}, ${above ? "-100%" : "0"})`,
  };
  return (
    <div class="cutting" data-part="cutting" style={style} role="group" aria-label="Marked cells">
      {why === null ? (
        <button type="button" data-part="cut" onClick={() => cutMarked(store)}>
          Cut {blockName(block)} <kbd>c</kbd>
        </button>
      ) : (
        <span>{why}</span>
      )}
      <button
        type="button"
        data-part="unmark"
        aria-label="Unmark"
        title="Unmark (Esc)"
        onClick={() => (applying.marked.value = null)}
      >
        ×
      </button>
    </div>
  );
}

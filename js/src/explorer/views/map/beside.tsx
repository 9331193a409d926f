/** Two heads side by side: one hover, one pin, one window, one range of colours. */
import { useMemo, useRef } from "preact/hooks";
import { useWidth } from "../../../drawing/canvas";
import type { MapFacts } from "../../../host/facts";
import { sideName } from "../../comparing";
import type { Store } from "../../store";
import { Cutting } from "../apply/cutting";
import { QueryEntropy } from "./entropy";
import { Heatmap } from "./heatmap";
import { Pointed } from "./pointed";
import { createStage } from "./stage";

const SIDES = ["first", "second"] as const;

export function Beside({ store, map, describedBy }: { store: Store; map: MapFacts; describedBy: string }) {
  const ruler = useRef<HTMLDivElement>(null);
  const width = useWidth(ruler);
  // Both have the same axes, and the same room.
  const stage = useMemo(() => createStage(store, width), [store, width]);
  const pair = store.pair.value;
  if (!pair) return null;
  return (
    <div class="sides" data-part="sides" data-keys={map.n_keys}>
      {SIDES.map((side) => {
        const of = () => store.both.value?.[side] ?? null;
        return (
          <div class="side-of-two" key={side} data-side={side}>
            <h3>
              <bdi>{sideName(pair, side)}</bdi>
            </h3>
            {side === "first" && <div class="ruler" ref={ruler} />}
            <div class="stage">
              <Heatmap
                store={store}
                stage={stage}
                describedBy={describedBy}
                of={of}
                part={`heatmap-${side}`}
              />
              <QueryEntropy store={store} stage={stage} of={of} />
              <Pointed store={store} stage={stage} of={of} />
              {side === "second" && <Cutting store={store} stage={stage} />}
            </div>
          </div>
        );
      })}
    </div>
  );
}

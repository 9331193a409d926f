/** The middle of the widget: title, zoom, the heatmap with the entropy of its rows, legend and notes. */
import type { ReadonlySignal } from "@preact/signals";
import { useId, useMemo, useRef } from "preact/hooks";
import { Button } from "../../../controls/button";
import { Fault } from "../../../controls/fault";
import { useWidth } from "../../../drawing/canvas";
import { isFitted, isNearest } from "../../../drawing/geometry";
import type { MapFacts } from "../../../host/facts";
import type { Answers } from "../../answers";
import type { Store } from "../../store";
import { Cutting } from "../apply/cutting";
import { Key } from "../key";
import { Path } from "../path";
import { Beside } from "./beside";
import { QueryEntropy } from "./entropy";
import { Heatmap } from "./heatmap";
import { lastWord, pooled } from "./notes";
import { Numbers } from "./numbers";
import { Pointed } from "./pointed";
import { shapeOf, zoomBy } from "./pointing";
import { createStage } from "./stage";

interface Props {
  store: Store;
  answers: Answers;
  /** Whether what is drawn is what was chosen. */
  ready: ReadonlySignal<boolean>;
}

export function MapView({ store, answers, ready }: Props) {
  const ruler = useRef<HTMLDivElement>(null);
  const width = useWidth(ruler, store.room);
  const stage = useMemo(() => createStage(store, width), [store, width]);
  const help = useId();
  const map = store.map.value;
  const fault = answers.chosen.faults.value.tile ?? answers.reference.fault.value ?? undefined;
  if (!map) return null;
  return (
    <section class="map" data-stale={!ready.value} style={{ "--plot": `${stage.value?.plot.x ?? 0}px` }}>
      <div class="ruler" ref={ruler} />
      <header>
        <Path store={store} />
        <Zoom store={store} />
      </header>
      {store.compared.value === "beside" && fault === undefined ? (
        <Beside store={store} map={map} describedBy={help} />
      ) : (
        <div class="stage" hidden={fault !== undefined}>
          <Heatmap store={store} stage={stage} describedBy={help} />
          <QueryEntropy store={store} stage={stage} />
          <Pointed store={store} stage={stage} />
          <Cutting store={store} stage={stage} />
        </div>
      )}
      {store.tabled.value && <Numbers store={store} map={map} />}
      {fault !== undefined && <Fault sentence={fault} onRetry={() => answers.retry()} />}
      <footer hidden={fault !== undefined}>
        <Key store={store} />
        <div class="notes" id={help}>
          <p data-part="pooled">{pooled(store, store.device.value)}</p>
          <p>{[lastWord(store), ...map.notes].filter(Boolean).join(" ")}</p>
        </div>
      </footer>
    </section>
  );
}

/** Where in the map the part that is seen lies. */
function Locator({ store, map }: { store: Store; map: MapFacts }) {
  const { rows, columns } = store.window.value;
  const share = (at: number, count: number) => (at / count) * 100;
  const [x, y] = [share(columns.from, map.n_keys), share(rows.from, map.n_queries)];
  const wide = Math.max(4, share(columns.to - columns.from, map.n_keys));
  const high = Math.max(4, share(rows.to - rows.from, map.n_queries));
  const said = `queries ${Math.floor(rows.from)} to ${Math.ceil(rows.to) - 1}, keys ${Math.floor(columns.from)} to ${Math.ceil(columns.to) - 1}`;
  return (
    <svg class="locator" data-part="locator" viewBox="0 0 100 100" role="img" aria-label={said}>
      <title>{said}</title>
      <rect class="whole" x="1" y="1" width="98" height="98" />
      <rect class="seen" x={Math.min(x, 96)} y={Math.min(y, 96)} width={wide} height={high} />
    </svg>
  );
}

function Zoom({ store }: { store: Store }) {
  const map = store.map.value;
  const fitted = !map || isFitted(store.window.value, shapeOf(map));
  const nearest = !map || isNearest(store.window.value, shapeOf(map));
  return (
    <div class="zoom" role="group" aria-label="Zoom">
      {!fitted && <Locator store={store} map={map!} />}
      <Button part="zoom-out" label="Zoom out" idle={fitted} onClick={() => zoomBy(store, 1 / 1.5)}>
        −
      </Button>
      <Button part="zoom-in" label="Zoom in" idle={nearest} onClick={() => zoomBy(store, 1.5)}>
        +
      </Button>
      <Button part="zoom-fit" label="Fit: show the whole map" idle={fitted} onClick={() => zoomBy(store, 0)}>
        Fit
      </Button>
    </div>
  );
}

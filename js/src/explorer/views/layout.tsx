/** Where each view goes: the grid beside the map, the rest below it, or beside it where there is room. */
import type { ReadonlySignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { useWidth } from "../../drawing/canvas";
import { groupSize, type MapFacts } from "../../host/facts";
import type { Source } from "../../host/source";
import type { Answers } from "../answers";
import type { Store } from "../store";
import { FindingsView } from "./findings";
import { Grid } from "./grid";
import { Profile } from "./profile";
import { Row } from "./row";
import { Sharpness } from "./sharpness";
import { Status } from "./status";
import { VIEWS } from "./table";
import { Toolbar } from "./toolbar";

interface Props {
  store: Store;
  answers: Answers;
  source: Source;
  ready: ReadonlySignal<boolean>;
}

type Shape = "narrow" | "medium" | "wide";

const NARROW = 760;
const WIDE = 1360;
const NUMERAL = 24;
const GAP = 2;
/** Between the heads of two key-value heads. */
const APART = 5;
const shapeOf = (width: number): Shape => (width < NARROW ? "narrow" : width < WIDE ? "medium" : "wide");

/** The least width of the column of the grid in the medium shape. */
const COLUMN = 272;

/** So many heads a layer may have for their numbers to stand apart. */
const MANY = 16;

/** Thumbnails as large as their share of the width allows. */
function thumbSize(
  width: number,
  shape: Shape,
  heads: number,
  layers: number,
  alone: boolean,
  measured: boolean,
  apart: number,
): number {
  const column = shape === "wide" ? width * 0.22 : Math.max(COLUMN, width * 0.27);
  const share = alone || shape === "narrow" ? width : column;
  const fits = Math.floor((share - NUMERAL - apart) / heads) - GAP;
  if (alone) return Math.min(160, Math.max(24, fits));
  const tallest = Math.floor((shape === "narrow" ? 220 : 620) / layers) - GAP;
  const least = shape === "narrow" ? 20 : measured && heads <= MANY ? 17 : 14;
  return Math.max(least, Math.min(52, fits, tallest));
}

/** What the gaps between groups of heads take, in the layer that has most of them. */
const gapsOf = (map: MapFacts | null): number =>
  Math.max(
    0,
    ...(map?.heads ?? []).map((heads, layer) => {
      const size = groupSize(map!, layer);
      return size > 1 ? (heads / size - 1) * APART : 0;
    }),
  );

export function Layout({ store, answers, source, ready }: Props) {
  const ruler = useRef<HTMLDivElement>(null);
  const width = useWidth(ruler);
  const map = store.map.value;
  const view = store.view.value;
  const Main = VIEWS.find(({ name }) => name === view)?.Main;
  const link = source.link.value;
  const shape = shapeOf(width.value);
  const heads = Math.max(1, ...(map?.heads ?? []));
  const layers = map?.heads.length ?? 1;
  const single = heads * layers === 1;
  const side = shape === "wide" && view !== "grid" ? 380 : width.value;
  const beside = shape === "medium" && view !== "grid" && !single ? COLUMN : side;
  const apart = gapsOf(map);
  const measured = Boolean(map?.measures?.length);
  const size = thumbSize(width.value, shape, heads, layers, view === "grid", measured, apart);
  const column = !single && view !== "grid" && shape !== "narrow";
  const findings = <FindingsView store={store} answers={answers} open={column || single} />;
  return (
    <div
      class="layout"
      data-shape={shape}
      data-view={view}
      data-single={single}
      data-diagnosed={map?.diagnosed ?? false}
      data-link={link}
    >
      <div class="ruler" ref={ruler} />
      {link !== "absent" && <Toolbar store={store} answers={answers} source={source} />}
      <Status store={store} answers={answers} source={source} />
      {map && link !== "absent" && !store.empty.value && width.value > 0 && (
        <div class="views">
          {!single && (
            <div class="side">
              {view === "grid" && findings}
              <Grid
                store={store}
                answers={answers}
                size={size}
                width={NUMERAL + heads * (size + GAP) + apart}
              />
              {view !== "grid" && findings}
            </div>
          )}
          {Main && <Main store={store} answers={answers} ready={ready} />}
          <div class="rest">
            <Profile store={store} answers={answers} width={beside} />
            <Sharpness store={store} />
            <Row store={store} answers={answers} width={side} />
            {single && findings}
          </div>
        </div>
      )}
      <div class="spoken" role="status" aria-live="polite">
        {store.said}
      </div>
    </div>
  );
}

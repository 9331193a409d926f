/** Where each part goes: the picture first; the grid beside it or below, the rest below it or beside it where there is room. */
import { type ReadonlySignal, useComputed } from "@preact/signals";
import type { ComponentChild } from "preact";
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { useWidth } from "../../drawing/canvas";
import type { Source } from "../../host/source";
import { LessonCard } from "../../lesson/card";
import type { Answers } from "../answers";
import { askingOf } from "../asking";
import type { Part } from "../choices";
import type { Store } from "../store";
import { KeyColumn } from "./column";
import { Examples } from "./examples";
import { FindingsView } from "./findings";
import { Grid } from "./grid/grid";
import { Head } from "./head/head";
import { Worth } from "./head/worth";
import { Profile } from "./profile";
import { BETWEEN, COLUMN, REST, roomFor, tallest } from "./room";
import { Row } from "./row";
import { Sharpness } from "./sharpness";
import { Status } from "./status";
import { viewOf } from "./table";

/** So wide, heads and sliders stand side by side below the picture; the style sheet has the same numbers. */
const HALVED = 520;
const BETWEEN_HALVES = 20;

interface Props {
  store: Store;
  answers: Answers;
  source: Source;
  ready: ReadonlySignal<boolean>;
}

export function Layout({ store, answers, source, ready }: Props) {
  const ruler = useRef<HTMLDivElement>(null);
  const width = useWidth(ruler);
  const asking = useMemo(() => askingOf(store), [store]);
  const shows = useComputed(() => partsOf(store));
  const map = store.map.value;
  const view = store.view.value;
  const { Main } = viewOf(view);
  const link = source.link.value;
  const has = (part: Part) => shows.value.has(part);
  const room = roomFor(width.value, map, view, {
    numbered: store.measure.value !== null,
    grid: has("grid"),
    rest: has("heads") || has("sharpness") || has("row") || has("findings"),
  });
  const { shape, grid, column } = room;
  const main = Main && has("map") && <Main store={store} answers={answers} ready={ready} />;
  const left = grid === "column" ? column : COLUMN;
  const columns = shape === "medium" && (grid === "column" || grid === "above");
  // The row reads right below the picture, or beside it where there is room for that.
  const rowBelow = Boolean(main) && shape !== "wide";
  const aside = shape === "wide" && grid !== "alone" ? REST : width.value;
  const halved = shape === "narrow" && width.value >= HALVED ? (width.value - BETWEEN_HALVES) / 2 : aside;
  const below = columns ? width.value - left - BETWEEN : width.value;
  const high = tallest(shape, store.traits.height.value, store.full.value);
  useLayoutEffect(() => {
    store.tallest.value = high;
  }, [store, high]);

  const moved = [
    has("heads") && <Profile key="heads" store={store} answers={answers} width={columns ? left : halved} />,
    has("sharpness") && <Sharpness key="sharpness" store={store} answers={answers} />,
  ];
  const findings = has("findings") && (
    <FindingsView
      key="findings"
      store={store}
      answers={answers}
      open={grid === "column" || grid === "none"}
    />
  );
  const rows = has("row") && [
    <Row key="row" store={store} answers={answers} width={rowBelow ? below : aside} />,
    <KeyColumn key="column" store={store} answers={answers} width={rowBelow ? below : aside} />,
  ];
  const heads = grid !== "none" && <Grid key="grid" store={store} answers={answers} room={room} />;
  // What is moved stands under the grid, beside the map, so that hand and picture are seen together.
  const underGrid = columns && grid === "column";
  const findingsAside = grid === "none" || (grid === "above" && shape !== "narrow");
  const side = heads && (
    <div class="side" key="side">
      {grid === "alone" && findings}
      {heads}
      {underGrid && moved}
      {grid !== "alone" && !findingsAside && findings}
    </div>
  );
  const picture = main && (
    <div class="picture" key="picture">
      {main}
      {rowBelow && rows}
    </div>
  );
  const rest = (
    <div class="rest" key="rest">
      {store.traits.surveyed.value && <Examples key="examples" store={store} />}
      {!underGrid && moved}
      {!rowBelow && rows}
      {findingsAside && findings}
    </div>
  );
  // What is seen first is also reached first by keyboard.
  const order: ComponentChild[] =
    shape === "narrow" && grid === "above"
      ? [picture, rest, side]
      : columns && grid === "above"
        ? [side, rest, picture]
        : [side, picture, rest];
  return (
    <div
      class="layout"
      data-shape={shape}
      data-grid={grid}
      data-only={shows.value.size === 1 ? [...shows.value][0] : undefined}
      data-diagnosed={map?.diagnosed ?? false}
      data-link={link}
      style={store.traits.height.value === null ? {} : { "--height": `${store.traits.height.value}px` }}
    >
      <div class="ruler" ref={ruler} />
      {link !== "absent" && has("head") && (
        <Head store={store} answers={answers} source={source} width={width.value} />
      )}
      <LessonCard lesson={store.lesson} asking={asking} />
      <Status store={store} answers={answers} source={source} />
      {has("head") && link !== "absent" && !store.empty.value && <Worth store={store} answers={answers} />}
      {map && link !== "absent" && !store.empty.value && width.value > 0 && (
        <div class="views" style={{ "--left": `${left}px` }}>
          {order}
        </div>
      )}
      <div class="spoken" role="status" aria-live="polite">
        {store.said}
      </div>
    </div>
  );
}

const ALL: readonly Part[] = ["head", "grid", "map", "heads", "sharpness", "row", "findings"];

/** The parts that are shown; all where none are named. */
function partsOf(store: Store): ReadonlySet<Part> {
  const named = ALL.filter((part) => store.traits.parts.value.includes(part));
  return new Set(named.length > 0 ? named : ALL);
}

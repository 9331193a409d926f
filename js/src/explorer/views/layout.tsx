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
import { FindingsView } from "./findings";
import { Grid } from "./grid/grid";
import { Head } from "./head/head";
import { Worth } from "./head/worth";
import { Profile } from "./profile";
import { COLUMN, REST, roomFor, tallest } from "./room";
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
  const rest = shape === "wide" && grid !== "alone" ? REST : width.value;
  const left = grid === "column" ? column : COLUMN;
  const halved = shape === "narrow" && width.value >= HALVED ? (width.value - BETWEEN_HALVES) / 2 : rest;
  const beside = shape === "medium" && (grid === "column" || grid === "above") ? left : halved;
  const underGrid = grid === "column" || (grid === "above" && shape === "narrow");
  const high = tallest(shape, store.traits.height.value, store.full.value);
  useLayoutEffect(() => {
    store.tallest.value = high;
  }, [store, high]);

  const findings = has("findings") && (
    <FindingsView store={store} answers={answers} open={grid === "column" || grid === "none"} />
  );
  const side = grid !== "none" && (
    <div class="side" key="side">
      {grid === "alone" && findings}
      <Grid store={store} answers={answers} room={room} />
      {underGrid && findings}
    </div>
  );
  const main = Main && has("map") && <Main key="main" store={store} answers={answers} ready={ready} />;
  const below = (
    <div class="rest" key="rest">
      {has("heads") && <Profile store={store} answers={answers} width={beside} />}
      {has("sharpness") && <Sharpness store={store} answers={answers} />}
      {has("row") && <Row store={store} answers={answers} width={rest} />}
      {has("row") && <KeyColumn store={store} answers={answers} width={rest} />}
      {!(grid !== "none" && (grid === "alone" || underGrid)) && findings}
    </div>
  );
  // What is seen first is also reached first by keyboard.
  const order: ComponentChild[] =
    shape === "narrow" && grid === "above" ? [main, below, side] : [side, main, below];
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

/** Where each view goes: the grid beside the map, the rest below it, or beside it where there is room. */
import type { ReadonlySignal } from "@preact/signals";
import { useMemo, useRef } from "preact/hooks";
import { useWidth } from "../../drawing/canvas";
import type { Source } from "../../host/source";
import { LessonCard } from "../../lesson/card";
import type { Answers } from "../answers";
import { askingOf } from "../asking";
import type { Store } from "../store";
import { FindingsView } from "./findings";
import { Grid } from "./grid";
import { Head } from "./head";
import { Profile } from "./profile";
import { COLUMN, REST, roomFor } from "./room";
import { Row } from "./row";
import { Sharpness } from "./sharpness";
import { Status } from "./status";
import { viewOf } from "./table";

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
  const map = store.map.value;
  const view = store.view.value;
  const { Main } = viewOf(view);
  const link = source.link.value;
  const room = roomFor(width.value, map, view, store.measure.value !== null);
  const { shape, grid, column } = room;
  const rest = shape === "wide" && grid !== "alone" ? REST : width.value;
  const left = grid === "column" ? column : COLUMN;
  const beside = shape === "medium" && (grid === "column" || grid === "above") ? left : rest;
  const findings = (
    <FindingsView store={store} answers={answers} open={grid === "column" || grid === "none"} />
  );
  const underGrid = grid === "column" || (grid === "above" && shape === "narrow");
  return (
    <div
      class="layout"
      data-shape={shape}
      data-grid={grid}
      data-diagnosed={map?.diagnosed ?? false}
      data-link={link}
    >
      <div class="ruler" ref={ruler} />
      {link !== "absent" && <Head store={store} answers={answers} source={source} shape={shape} />}
      <LessonCard lesson={store.lesson} asking={asking} />
      <Status store={store} answers={answers} source={source} />
      {map && link !== "absent" && !store.empty.value && width.value > 0 && (
        <div class="views" style={{ "--left": `${left}px` }}>
          {grid !== "none" && (
            <div class="side">
              {grid === "alone" && findings}
              <Grid store={store} answers={answers} room={room} />
              {underGrid && findings}
            </div>
          )}
          {Main && <Main store={store} answers={answers} ready={ready} />}
          <div class="rest">
            <Profile store={store} answers={answers} width={beside} />
            <Sharpness store={store} answers={answers} />
            <Row store={store} answers={answers} width={rest} />
            {grid !== "alone" && !underGrid && findings}
          </div>
        </div>
      )}
      <div class="spoken" role="status" aria-live="polite">
        {store.said}
      </div>
    </div>
  );
}

/** Runs of tokens: how much each gives to each in the chosen head, and where each query looks among them. */
import { useSignal } from "@preact/signals";
import { useMemo, useRef } from "preact/hooks";
import { foundSpans } from "../../../answers/spans";
import { Fault } from "../../../controls/fault";
import { Legend } from "../../../controls/legend";
import { Menu } from "../../../controls/menu";
import { useWidth } from "../../../drawing/canvas";
import { brief } from "../../../drawing/words";
import { isWhole, type MapFacts, type NamedSpan } from "../../../host/facts";
import type { Answers } from "../../answers";
import { sideName } from "../../comparing";
import type { Store } from "../../store";
import { scaleOf } from "../key";
import { Path } from "../path";
import type { ViewProps } from "../table";
import { kindOf, kindsOf, OWN, titleOf } from "./kinds";
import { endOf, Matrix } from "./matrix";
import { Naming } from "./naming";
import { needs, type Shown, sharpnessOf, shownOf } from "./shown";
import { colourOf, Stack } from "./stack";

const WIDEST = 860;

function faultOf(store: Store, answers: Answers, map: MapFacts): string | null {
  const tile = answers.chosen.faults.value.tile ?? answers.reference.fault.value;
  return answers.known.firstFault(needs(store, map)) ?? tile;
}

export function SpansView({ store, answers, ready }: ViewProps) {
  const ruler = useRef<HTMLDivElement>(null);
  const width = useWidth(ruler, store.room);
  const marked = useSignal<[number, number] | null>(null);
  const map = store.map.value;
  const [drawn, both] = [store.drawn.value, store.both.value];
  const known = map && foundSpans(map.name);
  const listed = known && answers.known.get(known);
  const sharp = map && JSON.stringify(sharpnessOf(store, map));
  const came =
    map && !isWhole(map)
      ? JSON.stringify([...needs(store, map)].map((one) => answers.known.isFresh(one)))
      : "";
  // Not at every move of the pointer: a whole map is read.
  const fresh = useMemo(
    () => (map ? shownOf(store, answers, map) : null),
    [
      map,
      drawn,
      both,
      store.compared.value,
      listed,
      sharp,
      came,
      store.traits.spans.value,
      store.traits.span_kind.value,
      store.layer.value,
      store.head.value,
    ],
  );
  const last = useRef<{ of: string; shown: Shown } | null>(null);
  const of = `${map?.name}/${store.compared.value}`;
  if (map && fresh) last.current = { of, shown: fresh };
  if (!map) return null;
  // What was shown last stays until the next head is here.
  const kept = kindOf(store, map) !== null && last.current?.of === of ? last.current.shown : null;
  const shown = fresh ?? kept;
  const effect = store.weighing.effect.value;
  const kinds = kindsOf(store, map);
  const kind = kindOf(store, map);
  const fault = faultOf(store, answers, map);
  const open = (query: NamedSpan, key: NamedSpan) => {
    store.lookAt({ rows: { from: query[1], to: query[2] }, columns: { from: key[1], to: key[2] } });
    store.traits.view.value = "heatmap";
  };
  return (
    <section
      class="map spans"
      data-part="spans"
      data-kind={kind ?? ""}
      data-stale={!ready.value || fresh === null}
    >
      <div class="ruler" ref={ruler} />
      <header>
        <Path store={store} />
        {kinds.length > 0 && !store.lesson.isLocked("span_kind") && (
          <Menu
            label="Spans"
            part="span-kind"
            value={kind!}
            options={kinds.map((one) => [one, titleOf(one)] as const)}
            onChange={(one) => (store.traits.span_kind.value = one)}
          />
        )}
      </header>
      {fault !== null && <Fault sentence={fault} onRetry={() => answers.retry()} />}
      {kind === null && (
        <p class="hint" data-part="no-spans">
          No turns, documents, paragraphs or sentences were found in this text.
          {map.keys === null && !store.lesson.isLocked("spans") && " Name runs of tokens below."}
        </p>
      )}
      {shown && (
        <>
          <p class="hint">
            {effect
              ? "What comes through a span at a span: the mean over its queries of what all its keys add to the logit. Rows are queries."
              : `How much ${shown.of.signed ? "more or less " : ""}a span looks at a span: the mean over its queries of what they give to all its keys. Rows are queries.`}{" "}
            A click opens that part of the map.
          </p>
          <div class="span-map">
            <Matrix store={store} of={shown.of} onOpen={open} />
          </div>
          {/* Bands are shares of a row, and effects are none. */}
          {!effect && (
            <Bands
              store={store}
              map={map}
              shown={shown}
              width={width.value}
              onMark={(run) => (marked.value = run)}
            />
          )}
        </>
      )}
      {map.keys === null && !store.lesson.isLocked("spans") && (
        <Naming store={store} map={map} marked={marked.value} />
      )}
      <footer>
        {shown && (
          <Legend {...scaleOf(store, endOf(store, shown.of, 0))} masked={false} undefinedRows={false} />
        )}
        <p class="notes">
          {kind === OWN || kind === null ? "" : "Spans were found by what the tokens say. "}
          {map.notes.join(" ")}
        </p>
      </footer>
    </section>
  );
}

interface BandsProps {
  store: Store;
  map: MapFacts;
  shown: Shown;
  width: number;
  onMark: (run: [number, number] | null) => void;
}

/** How the queries spread over the spans, one after another. */
function Bands({ store, map, shown, width, onMark }: BandsProps) {
  const pair = store.pair.value;
  return (
    <>
      <h3>
        Where each query looks{" "}
        <small>
          {[shown.of.signed && pair && sideName(pair, "second"), shown.sampled].filter(Boolean).join(". ")}
        </small>
      </h3>
      <ul class="bands" aria-label="Bands, with their mean">
        {shown.bands.bands.map((band) => (
          <li key={band.name} data-part="band" data-name={band.name} data-mean={band.mean}>
            <i class="swatch" style={{ background: colourOf(band, store.colours.value) }} />
            <bdi>{band.name}</bdi> {brief(band.mean)}
          </li>
        ))}
      </ul>
      <Stack store={store} map={map} of={shown.bands} width={Math.min(WIDEST, width)} onMark={onMark} />
    </>
  );
}

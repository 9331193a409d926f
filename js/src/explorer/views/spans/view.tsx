/** Runs of tokens: how much each gives to each in the chosen head, and where each query looks among them. */
import { useSignal } from "@preact/signals";
import { useMemo, useRef } from "preact/hooks";
import type { Question } from "../../../answers/question";
import { foundSpans, spanMass, spanRows } from "../../../answers/spans";
import { chanceOfRuns, massOfRows, massOfRuns, type Run } from "../../../attention/spans";
import { Fault } from "../../../controls/fault";
import { Legend } from "../../../controls/legend";
import { Menu } from "../../../controls/menu";
import { useWidth } from "../../../drawing/canvas";
import { brief } from "../../../drawing/words";
import { isWhole, type MapFacts, type NamedSpan } from "../../../host/facts";
import type { Answers } from "../../answers";
import type { Store } from "../../store";
import { scaleOf } from "../key";
import { Path } from "../path";
import type { ViewProps } from "../table";
import { type Bands, bandsOf } from "./bands";
import { askedOf, kindOf, kindsOf, OWN, type Spans, spansOf, titleOf } from "./kinds";
import { endOf, type Mass, Matrix } from "./matrix";
import { Naming } from "./naming";
import { colourOf, Stack } from "./stack";

const WIDEST = 860;

/** What a long map needs of the kernel; what is here whole is read off the map. */
export function* needs(store: Store, map: MapFacts): Generator<Question<unknown>> {
  const asked = askedOf(store, map);
  if (asked && "kind" in asked) yield foundSpans(map.name);
  if (!asked || isWhole(map)) return;
  const sharpness = sharpnessOf(store);
  yield spanRows(map.name, store.layer.value, store.head.value, asked, sharpness);
  yield spanMass(map.name, store.layer.value, asked, sharpness);
}

const sharpnessOf = (store: Store) => ({
  temperature: store.temperature.value,
  scaling: store.scaling.value,
});

const runs = (spans: readonly NamedSpan[]): Run[] => spans.map(([, start, stop]) => ({ start, stop }));

export interface Shown {
  spans: Spans;
  of: Mass;
  bands: Bands;
  /** What of a long text was read; empty where all was. */
  sampled: string;
}

/** What is shown of the chosen head; null while something of it has not come. */
export function shownOf(store: Store, answers: Answers, map: MapFacts): Shown | null {
  const spans = spansOf(store, answers, map);
  const asked = askedOf(store, map);
  if (!spans || !asked || spans.queries.length === 0 || spans.keys.length === 0) return null;
  const drawn = store.drawn.value;
  if (isWhole(map)) {
    if (!drawn?.tile.exact || !store.isCurrent(drawn)) return null;
    const { tile } = drawn;
    const [queries, keys] = [runs(spans.queries), runs(spans.keys)];
    const offset = map.keys === null || map.causal ? map.n_keys - map.n_queries : null;
    return {
      spans,
      of: {
        queries: spans.queries,
        keys: spans.keys,
        mass: massOfRuns(tile, drawn, queries, keys),
        chance: chanceOfRuns(tile, queries, keys),
      },
      bands: bandsOf(
        spans.keys,
        Array.from({ length: map.n_queries }, (_, query) => query),
        massOfRows(tile, drawn, keys, offset),
      ),
      sampled: "",
    };
  }
  const sharpness = sharpnessOf(store);
  const [layer, head] = [store.layer.value, store.head.value];
  const mass = answers.known.get(spanMass(map.name, layer, asked, sharpness));
  const rows = answers.known.get(spanRows(map.name, layer, head, asked, sharpness));
  if (!mass || !rows || head >= mass.heads) return null;
  const cells = mass.spans.length * mass.keySpans.length;
  const read = [mass.sampled, rows.sampled].find((one) => one !== null);
  return {
    spans,
    of: {
      queries: mass.spans,
      keys: mass.keySpans,
      mass: mass.mass.subarray(head * cells, (head + 1) * cells),
      chance: mass.chance,
    },
    bands: bandsOf(rows.spans, rows.queries, rows.mass),
    sampled: read ? `Read from ${read[0]} of ${read[1]} queries, evenly spread.` : "",
  };
}

function faultOf(store: Store, answers: Answers, map: MapFacts): string | null {
  for (const asked of needs(store, map)) {
    const sentence = answers.known.fault(asked);
    if (sentence !== null) return sentence;
  }
  return answers.chosen.faults.value.tile ?? null;
}

export function SpansView({ store, answers, ready }: ViewProps) {
  const ruler = useRef<HTMLDivElement>(null);
  const width = useWidth(ruler, store.room);
  const marked = useSignal<[number, number] | null>(null);
  const map = store.map.value;
  const drawn = store.drawn.value;
  const known = map && foundSpans(map.name);
  const listed = known && answers.known.get(known);
  const sharp = JSON.stringify(sharpnessOf(store));
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
      listed,
      sharp,
      came,
      store.traits.spans.value,
      store.traits.span_kind.value,
      store.layer.value,
      store.head.value,
    ],
  );
  const last = useRef<{ map: string; shown: Shown } | null>(null);
  if (map && fresh) last.current = { map: map.name, shown: fresh };
  if (!map) return null;
  // What was shown last stays until the next head is here.
  const kept = kindOf(store, map) !== null && last.current?.map === map.name ? last.current.shown : null;
  const shown = fresh ?? kept;
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
        {kinds.length > 0 && (
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
          {map.keys === null && " Name runs of tokens below."}
        </p>
      )}
      {shown && (
        <>
          <p class="hint">
            How much a span looks at a span: the mean over its queries of what they give to all its keys. Rows
            are queries. A click opens that part of the map.
          </p>
          <div class="span-map">
            <Matrix store={store} of={shown.of} onOpen={open} />
          </div>
          <h3>
            Where each query looks <small>{shown.sampled}</small>
          </h3>
          <ul class="bands" aria-label="Bands, with their mean">
            {shown.bands.bands.map((band) => (
              <li key={band.name} data-part="band" data-name={band.name} data-mean={band.mean}>
                <i class="swatch" style={{ background: colourOf(band, store.colours.value) }} />
                <bdi>{band.name}</bdi> {brief(band.mean)}
              </li>
            ))}
          </ul>
          <Stack
            store={store}
            map={map}
            of={shown.bands}
            width={Math.min(WIDEST, width.value)}
            onMark={(run) => (marked.value = run)}
          />
        </>
      )}
      {map.keys === null && <Naming store={store} map={map} marked={marked.value} />}
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

/** What is behind one score: which cell it is, the vectors that were multiplied, and what each of their dimensions adds. */
import { type Signal, signal } from "@preact/signals";
import { products } from "../../../answers/products";
import type { Question } from "../../../answers/question";
import { scores as scoresOf } from "../../../answers/scores";
import { type CellNumbers, cellNumbers } from "../../../attention/cell";
import { bySize, lessThose, type Term, termsOf, type Vectors, vectorsOf } from "../../../attention/products";
import { rowScores } from "../../../attention/scores";
import { rowWeights } from "../../../attention/temper";
import { MASKED } from "../../../attention/tile";
import { isWhole, type MapFacts, type ScoreFacts } from "../../../host/facts";
import type { Answers } from "../../answers";
import type { Chosen } from "../../chosen";
import { lackOf, rowOf } from "../../pinned";
import type { Store } from "../../store";
import { madeOf } from "../formula";

export interface Place {
  query: number;
  key: number;
  /** How it came to be this cell. */
  how: "pinned" | "pointed" | "heaviest" | "strongest";
}

/** How the terms are shown: a person's own choices, of this view alone. */
export interface Arranged {
  order: Signal<"size" | "model">;
  /** Each dimension by itself, where pairs turn together. */
  single: Signal<boolean>;
  /** What speaks for this key against the next. */
  against: Signal<boolean>;
}

const arranged = new WeakMap<Store, Arranged>();

export function arrangedIn(store: Store): Arranged {
  const known = arranged.get(store);
  if (known) return known;
  const made: Arranged = { order: signal("size"), single: signal(false), against: signal(false) };
  arranged.set(store, made);
  return made;
}

export interface Behind {
  place: Place;
  made: ScoreFacts;
  vectors: Vectors;
  terms: Term[];
  /** The heaviest key beside this one; null where there is none. */
  rival: number | null;
  /** Whether the terms are what they add more than to the rival. */
  against: boolean;
  /** Weights of the query, by key; null where they are not here. */
  weights: Float32Array | null;
  masked: boolean;
  /** Why the row of the query has no weights, in a sentence; null where it has some. */
  lacks: string | null;
  /** How many keys the query may see; null where its row is not here. */
  seen: number | null;
  /** The way from q·k to the weight; null where the scores of the row are not here, or the key is masked. */
  numbers: CellNumbers | null;
}

/** Weights of a query whose row is here. */
function weightsOf(
  store: Store,
  query: number,
): { weights: Float32Array; masked: (key: number) => boolean; lacks: string | null } | null {
  const pinned = store.pinned.value;
  if (pinned?.query === query) return { weights: pinned.after, masked: pinned.masked, lacks: pinned.lacks };
  const drawn = store.drawn.value;
  if (!drawn?.tile.exact || !store.isCurrent(drawn)) return null;
  const row = query - drawn.tile.rows[0];
  const width = drawn.tile.shape[1];
  if (row < 0 || row >= drawn.tile.shape[0]) return null;
  const own = rowOf(drawn.tile, query);
  return {
    lacks: own && lackOf([own]),
    weights: rowWeights(drawn.tile, drawn, row),
    masked: (key) => drawn.tile.codes[row * width + key] === MASKED,
  };
}

/** The heaviest key beside some. */
function heaviest(weights: Float32Array, but: number | null = null): number | null {
  let best: number | null = null;
  for (let key = 0; key < weights.length; key++) {
    if (key !== but && weights[key]! > (best === null ? 0 : weights[best]!)) best = key;
  }
  return best;
}

/** The cell under the pointer elsewhere, the pinned one, the heaviest of the pinned query, or the strongest of all. */
export function placeOf(store: Store): Place | null {
  const map = store.map.value;
  const { query, key } = store.pin.value;
  const hover = store.hover.value;
  if (map && isWhole(map) && hover && hover.query !== null && hover.key !== null)
    return { query: hover.query, key: hover.key, how: "pointed" };
  if (query !== null && key !== null) return { query, key, how: "pinned" };
  if (query !== null) {
    const row = weightsOf(store, query);
    const best = row && heaviest(row.weights);
    return best === null ? null : { query, key: best, how: "heaviest" };
  }
  const drawn = store.drawn.value;
  if (!drawn?.tile.exact || !store.isCurrent(drawn)) return null;
  const strongest = drawn.tile.rows[0] + drawn.strongestRow;
  const row = weightsOf(store, strongest);
  const best = row && heaviest(row.weights);
  return best === null ? null : { query: strongest, key: best, how: "strongest" };
}

/** The vectors of the chosen head: of its layer if that is here, or of a question. */
function vectorsIn(store: Store, answers: Answers, map: MapFacts, place: Place): Vectors | null {
  const [layer, head] = [store.layer.value, store.head.value];
  const held = answers.chosen.projections();
  if (held && place.query < held.nQueries && place.key < held.nKeys) return vectorsOf(held, head);
  const asked = products(map.name, layer, head, isWhole(map) ? null : { query: place.query, key: place.key });
  return (answers.known.isFresh(asked) && answers.known.get(asked)) || null;
}

/** Null while something of it is on its way. */
export function behindOf(store: Store, answers: Answers): Behind | null {
  const map = store.map.value;
  const layer = store.layer.value;
  const made = map && madeOf(map, layer);
  const place = map && placeOf(store);
  const vectors = map && place && vectorsIn(store, answers, map, place);
  if (!map || !made || !place || !vectors) return null;
  const { order, single, against } = arrangedIn(store);
  const row = weightsOf(store, place.query);
  const rival = row && vectors.at === null ? heaviest(row.weights, place.key) : null;
  const paired = !single.value;
  const own = termsOf(vectors, place.query, place.key, paired);
  const compared = against.value && rival !== null;
  const terms = compared ? lessThose(own, termsOf(vectors, place.query, rival, paired)) : own;
  const held = answers.chosen.projections();
  const asked = scoresOf(map.name, layer, store.head.value, place.query);
  const scores = held ? rowScores(held, store.head.value, place.query) : answers.known.get(asked);
  const factor = store.scaling.value / store.temperature.value;
  return {
    place,
    made,
    vectors,
    terms: order.value === "size" ? bySize(terms) : terms,
    rival,
    against: compared,
    weights: row?.weights ?? null,
    masked: row?.masked(place.key) ?? false,
    lacks: row?.lacks ?? null,
    seen: row?.weights.reduce((count, _, key) => count + (row.masked(key) ? 0 : 1), 0) ?? null,
    numbers: scores?.scores.length === map.n_keys ? cellNumbers(scores, place.key, factor) : null,
  };
}

/** What must be asked for where the layer is not here as its queries and keys. */
export function* needs(store: Store, map: MapFacts, chosen: Chosen): Generator<Question<unknown>> {
  const [layer, head] = [store.layer.value, store.head.value];
  if (!madeOf(map, layer) || map.held?.[layer] === "projections" || chosen.projections()) return;
  if (isWhole(map)) yield products(map.name, layer, head, null);
  const place = placeOf(store);
  if (!place || place.how === "pointed") return;
  const { query, key } = place;
  if (!isWhole(map)) yield products(map.name, layer, head, { query, key });
  yield scoresOf(map.name, layer, head, query);
}

/** All answers of one Explorer: the picture that is waited for, and behind it what its views need. */
import { effect, untracked } from "@preact/signals";
import { Known } from "../answers/known";
import { measures } from "../answers/measures";
import { type Errand, Order } from "../answers/order";
import type { Question } from "../answers/question";
import { thumbnails } from "../answers/thumbnails";
import type { Facts } from "../host/facts";
import type { Reply, Source } from "../host/source";
import { Chosen } from "./chosen";
import { columnAsked } from "./column";
import { needsOf, otherRows } from "./order";
import { Reference } from "./reference";
import type { Store } from "./store";
import { pictured } from "./views/grid/grid";

/** So long new facts must have stood, in ms, before more than their tile is asked for: a text may be growing. */
const STANDING = 200;

export interface Progress {
  there: number;
  of: number;
}

export class Answers {
  readonly known = new Known();
  readonly chosen: Chosen;
  /** What the chosen head is compared with. */
  readonly reference: Reference;
  readonly #store: Store;
  readonly #source: Source;
  readonly #order: Order;
  readonly #stops: (() => void)[];
  /** Questions by the names of their errands, to tell what has failed. */
  readonly #questions = new Map<string, Question<unknown>>();
  #facts: Facts | null = null;

  constructor(store: Store, source: Source) {
    this.#store = store;
    this.#source = source;
    this.chosen = new Chosen(store, source, (before, after) => this.known.turn(before, after));
    this.#order = new Order(
      () => this.#next(),
      (name, reason) => this.#fail(name, reason),
    );
    this.#stops = [
      effect(() => {
        const facts = store.traits.facts.value;
        if (facts !== this.#facts || facts === null) untracked(() => this.#turn(facts));
      }),
      effect(() => {
        store.traits.facts.value;
        this.chosen.follow();
      }),
      effect(() => {
        const map = store.map.value;
        const asked = map && thumbnails(map.name, store.layer.value);
        const there = asked && this.known.isFresh(asked) ? this.known.get(asked) : undefined;
        store.peak.value = there?.peak[store.head.value] || null;
      }),
      effect(() => {
        const map = store.map.value;
        store.otherRows.value = map
          ? otherRows(store, map).flatMap((asked) => this.known.get(asked) ?? [])
          : [];
      }),
      effect(() => {
        const map = store.map.value;
        const asked = map && columnAsked(store, map, store.lookedAt.value);
        const there = asked && this.known.get(asked);
        // The last one stays while a temperature moves.
        if (there) store.askedColumn.value = there;
      }),
    ];
    this.reference = new Reference(store, this.chosen);
  }

  close(): void {
    for (const stop of this.#stops) stop();
    this.#order.close();
    this.chosen.close();
    this.reference.close();
  }

  retry(): void {
    this.known.forgive();
    this.#source.retry();
    this.chosen.retry();
    this.reference.retry();
  }

  /** How many layers have the numbers of the measure that is chosen; none of none where there is no measure. */
  measured(): Progress {
    const map = this.#store.map.value;
    if (!map || !this.#store.measure.value) return { there: 0, of: 0 };
    return this.#count(map.heads.map((_, layer) => measures(map, layer)));
  }

  /** How many layers have the thumbnails that are in sight. */
  pictured(): Progress {
    const map = this.#store.map.value;
    if (!map || map.heads.length === 0) return { there: 0, of: 0 };
    return this.#count([...pictured(this.#store, map)]);
  }

  #count(asked: readonly Question<unknown>[]): Progress {
    return { there: asked.filter((question) => this.known.isFresh(question)).length, of: asked.length };
  }

  #turn(facts: Facts | null): void {
    const first = this.chosen.tile.value === null;
    this.#facts = facts;
    this.known.age();
    this.chosen.turn(facts);
    if (this.#store.told.value) this.#order.restart(first ? 0 : STANDING);
  }

  #next(): Errand | null {
    const map = this.#store.map.value;
    if (!map || this.#store.empty.value || !this.chosen.isThere.value) return null;
    for (const need of needsOf(this.#store, map, this.chosen)) {
      if (need === "sight") return null;
      if (need && "run" in need) return need;
      if (need && !this.known.isSettled(need)) return this.#errand(need);
    }
    return null;
  }

  #errand(question: Question<unknown>): Errand {
    const { name, body } = question;
    this.#questions.set(name, question);
    const run = async (signal: AbortSignal) => {
      const keep = (reply: Reply) => {
        if (!signal.aborted) this.known.keep(question, question.read(reply));
      };
      // What is asked for by several of one kind must not be withdrawn for each other.
      const [kind] = name.split("/");
      keep(await this.#source.ask(kind!, body, { signal, background: true, later: keep }));
    };
    return { name, run };
  }

  #fail(name: string, reason: unknown): void {
    const sentence = reason instanceof Error ? reason.message : String(reason);
    const question = this.#questions.get(name);
    if (question) this.known.fail(question, sentence);
    else this.chosen.giveUp(name);
  }
}

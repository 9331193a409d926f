/** What is known of the maps on the screen: answers by question, each with whether it is about these maps or stands in. */
import { batch, type Signal, signal } from "@preact/signals";
import type { Facts } from "../host/facts";
import type { Question } from "./question";

interface Entry {
  question: Question<unknown>;
  value: unknown;
  /** Whether the answer is about the maps that are shown, and no stand-in. */
  fresh: boolean;
  /** Why there is no answer. */
  fault: string | null;
}

export class Known {
  /** One signal a question: what has come for one layer draws nothing of the others. */
  readonly #entries = new Map<string, Signal<Entry>>();
  /** Names by kind, the oldest first, of questions of which not all answers are kept. */
  readonly #kinds = new Map<string, Set<string>>();

  get<T>(question: Question<T>): T | undefined {
    return this.#entry(question).value.value as T | undefined;
  }

  isFresh(question: Question<unknown>): boolean {
    return this.#entry(question).value.fresh;
  }

  fault(question: Question<unknown>): string | null {
    return this.#entry(question).value.fault;
  }

  /** What went wrong first of several questions; null where nothing did. */
  firstFault(questions: Iterable<Question<unknown>>): string | null {
    for (const question of questions) {
      const sentence = this.fault(question);
      if (sentence !== null) return sentence;
    }
    return null;
  }

  /** Whether nothing is gained by asking. */
  isSettled(question: Question<unknown>): boolean {
    const { fresh, fault } = this.#entry(question).value;
    return fresh || fault !== null;
  }

  keep<T>(question: Question<T>, value: T): void {
    this.#entry(question).value = { question, value, fresh: true, fault: null };
    if (question.most) this.#leave(question, question.most);
  }

  /** Of a kind of question of which not all answers are kept, leave the oldest behind. */
  #leave({ name, body }: Question<unknown>, most: number): void {
    const kept = this.#kinds.get(body.op) ?? new Set();
    this.#kinds.set(body.op, kept);
    kept.delete(name);
    kept.add(name);
    for (const oldest of kept) {
      if (kept.size <= most) break;
      kept.delete(oldest);
      const entry = this.#entries.get(oldest);
      if (entry) entry.value = { ...entry.peek(), value: undefined, fresh: false };
    }
  }

  fail(question: Question<unknown>, fault: string): void {
    const entry = this.#entry(question);
    entry.value = { ...entry.peek(), fault };
  }

  forgive(): void {
    this.#change((entry) => (entry.fault === null ? entry : { ...entry, fault: null }));
  }

  /** Other maps are coming: nothing is about them yet. */
  age(): void {
    this.#change((entry) => ({ ...entry, fresh: false, fault: null }));
  }

  /** Other maps are shown: what is worth nothing for them is forgotten. */
  turn(before: Facts | null, after: Facts | null): void {
    const named = (facts: Facts | null, name: string) => facts?.maps.find((map) => map.name === name);
    this.#change((entry) => {
      const { map } = entry.question.body;
      const worth = entry.question.worth(named(before, map), named(after, map));
      if (worth === "none") return { ...entry, value: undefined, fresh: false };
      return worth === "same" ? { ...entry, fresh: entry.value !== undefined } : entry;
    });
  }

  #change(change: (entry: Entry) => Entry): void {
    batch(() => {
      for (const entry of this.#entries.values()) entry.value = change(entry.peek());
    });
  }

  #entry(question: Question<unknown>): Signal<Entry> {
    const held = this.#entries.get(question.name);
    if (held) return held;
    const made = signal<Entry>({ question, value: undefined, fresh: false, fault: null });
    this.#entries.set(question.name, made);
    return made;
  }
}

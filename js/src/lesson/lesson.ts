/** The state of a lesson: whether its answer is still hidden, and the guesses so far. */
import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import type { Guess, LessonFacts, Said } from "./facts";

const same = (one: Said, other: Said): boolean => JSON.stringify(one) === JSON.stringify(other);
const isMany = (answer: Said | readonly Said[]): answer is readonly Said[] =>
  Array.isArray(answer) && Array.isArray(answer[0]);

/** An answer that a guess can be compared with; null for what sees nothing, or is gone. */
function known(answer: Guess["answer"], guess: Said): Guess["answer"] {
  if (answer === null) return null;
  const numbers = [answer].flat(2);
  const bars = Array.isArray(guess) && !isMany(answer as Said);
  const fits = !bars || numbers.length === guess.length;
  return fits && numbers.length > 0 && numbers.every(Number.isFinite) ? answer : null;
}

/** Whether a guess is right; null where nothing is known to be. */
export function isRight(
  { predict, tolerance }: LessonFacts,
  guess: Said,
  answer: Guess["answer"],
): boolean | null {
  if (answer === null || predict === null) return null;
  if (predict.kind === "cell" || predict.kind === "head")
    return isMany(answer) ? answer.some((one) => same(one, guess)) : same(answer, guess);
  const [said, right] = [[guess].flat(), [answer].flat() as number[]];
  // A hair more than the tolerance: 0.45 and 0.5 are 0.05 apart, in binary fractions a little more.
  return said.every((number, at) => Math.abs(number - right[at]!) <= tolerance + 1e-9);
}

export class Lesson {
  readonly facts: ReadonlySignal<LessonFacts | null>;
  readonly guesses: Signal<readonly Guess[]>;
  /** Guesses that were there when the question was put (again). */
  readonly #before: Signal<number> = signal(0);
  #asked = performance.now();

  constructor(facts: ReadonlySignal<LessonFacts | null>, guesses: Signal<readonly Guess[]>) {
    this.facts = facts;
    this.guesses = guesses;
  }

  /** Whether the answer is hidden: something is to be guessed first. */
  readonly hidden: ReadonlySignal<boolean> = computed(
    () => Boolean(this.facts.value?.predict) && this.guesses.value.length <= this.#before.value,
  );

  readonly last: ReadonlySignal<Guess | null> = computed(() => this.guesses.value.at(-1) ?? null);

  /** Whether a control cannot be moved. What would give the answer away is locked as long as it is hidden. */
  isLocked(control: string): boolean {
    const facts = this.facts.value;
    if (!facts) return false;
    const telling = facts.predict?.kind === "head" && (control === "measure" || control === "sort");
    return facts.locked.includes(control) || facts.locked.includes("all") || (telling && this.hidden.value);
  }

  say(guess: Said, given: Guess["answer"]): void {
    const facts = this.facts.peek();
    if (!facts?.predict) return;
    const answer = known(given, guess);
    const said: Guess = {
      prompt: facts.prompt,
      predict: facts.what,
      kind: facts.predict.kind,
      guess,
      answer,
      right: isRight(facts, guess, answer),
      time: new Date().toISOString(),
      seconds: Math.round((performance.now() - this.#asked) / 100) / 10,
    };
    this.guesses.value = [...this.guesses.peek(), said];
  }

  /** Hide the answer again. */
  again(): void {
    this.#before.value = this.guesses.peek().length;
    this.#asked = performance.now();
  }
}

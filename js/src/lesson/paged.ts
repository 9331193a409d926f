/** A lesson in a saved page: its guesses are kept there, and told to what stands at the end of the page. */

import type { Model } from "../host/traits";
import type { Guess, LessonFacts } from "./facts";
import { GUESSED, type Guessed, offerAnswers, shelf } from "./handing";

/** Puts guesses of an earlier visit into a model, and follows those that come. */
export function keepGuesses(page: Document, model: Model, widget: string, at: number): void {
  const facts = model.get("facts") as { lesson?: LessonFacts | null } | undefined;
  const lesson = facts?.lesson;
  if (!lesson?.predict) return;
  const place = `${widget} ${at}`;
  const name = shelf.name(page, place);
  offerAnswers(page);
  const earlier = shelf
    .read(name)
    .filter(
      ({ prompt, predict, kind, guess }) =>
        prompt === lesson.prompt &&
        predict === lesson.what &&
        kind === lesson.predict?.kind &&
        (kind === "number" ? typeof guess === "number" : Array.isArray(guess)),
    );
  const tell = (guesses: readonly Guess[]) =>
    page.dispatchEvent(new CustomEvent<Guessed>(GUESSED, { detail: { place, guesses } }));
  if (earlier.length > 0) {
    model.set("guesses", earlier);
    tell(earlier);
  }
  model.on("change:guesses", () => {
    const guesses = model.get("guesses") as readonly Guess[];
    shelf.write(name, guesses);
    tell(guesses);
  });
}

/** The question above a widget, the guess, and afterwards the answer beside it. */

import type { ReadonlySignal } from "@preact/signals";
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { copied } from "../host/out";
import type { Guess, Said } from "./facts";
import { codeOf } from "./handing";
import type { Lesson } from "./lesson";

/** What only the widget knows of a question. */
export interface Asking {
  /** What is right now; null where nobody knows. */
  answer: () => Guess["answer"];
  /** What a click has chosen, for guesses by a click. */
  picked: ReadonlySignal<Said | null>;
  /** A guess or an answer in words. */
  textOf: (said: Said) => string;
  /** Names of the bars. */
  labels: () => readonly string[];
  /** What to do for a guess by a click. */
  hint: string;
}

interface Props {
  lesson: Lesson;
  asking: Asking;
}

export function LessonCard({ lesson, asking }: Props) {
  const facts = lesson.facts.value;
  if (!facts) return null;
  const kind = facts.predict?.kind;
  return (
    <section class="lesson" data-part="lesson" aria-label="Lesson">
      <p class="prompt" data-part="prompt">
        {facts.prompt}
      </p>
      {kind && lesson.hidden.value && (
        <div class="guess">
          {kind === "number" && <NumberGuess lesson={lesson} asking={asking} />}
          {kind === "bars" && <BarsGuess lesson={lesson} asking={asking} />}
          {(kind === "cell" || kind === "head") && <ClickGuess lesson={lesson} asking={asking} />}
        </div>
      )}
      {kind && !lesson.hidden.value && <Answer lesson={lesson} asking={asking} />}
    </section>
  );
}

function NumberGuess({ lesson, asking }: Props) {
  const field = useRef<HTMLInputElement>(null);
  const fault = useSignal("");
  function say(): void {
    const text = (field.current?.value ?? "").trim().replace(",", ".").replace("−", "-");
    const number = Number(text);
    if (text === "" || !Number.isFinite(number)) fault.value = "A number is expected, as 0.25.";
    else lesson.say(number, asking.answer());
  }
  // No form: a frame that may not send one would not tell us either.
  return (
    <div class="number-guess">
      <label>
        Your guess{" "}
        <input
          ref={field}
          type="text"
          inputMode="decimal"
          size={8}
          data-part="guess"
          aria-invalid={fault.value !== ""}
          onKeyDown={(event) => {
            event.stopPropagation();
            if (event.key === "Enter") say();
          }}
        />
      </label>
      <button type="button" class="act" data-part="reveal" onClick={say}>
        Show the answer
      </button>
      {fault.value && (
        <span class="refused" role="alert">
          {fault}
        </span>
      )}
    </div>
  );
}

function BarsGuess({ lesson, asking }: Props) {
  const labels = asking.labels();
  const heights = useSignal<readonly number[]>(labels.map(() => 0));
  const held = useRef<number | null>(null);
  const at = (bar: number) => heights.value[bar] ?? 0;
  const set = (bar: number, height: number) => {
    const inside = Math.round(Math.max(0, Math.min(1, height)) * 100) / 100;
    heights.value = labels.map((_, other) => (other === bar ? inside : at(other)));
  };
  const sum = labels.reduce((total, _, bar) => total + at(bar), 0);

  function drag(event: PointerEvent, bar: number): void {
    if (held.current !== bar) return;
    const box = (event.currentTarget as Element).getBoundingClientRect();
    set(bar, (box.bottom - event.clientY) / box.height);
  }

  function press(event: KeyboardEvent, bar: number): void {
    const by = { ArrowUp: 0.01, ArrowDown: -0.01, PageUp: 0.1, PageDown: -0.1 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    set(bar, at(bar) + by);
  }

  return (
    <>
      <div class="guessed-bars">
        {labels.map((label, bar) => (
          <div key={bar}>
            <div
              class="well"
              role="slider"
              tabIndex={0}
              data-part="guess-bar"
              data-bar={bar}
              aria-label={`Your guess for ${label}`}
              aria-orientation="vertical"
              aria-valuemin={0}
              aria-valuemax={1}
              aria-valuenow={at(bar)}
              onPointerDown={(event) => {
                held.current = bar;
                event.currentTarget.setPointerCapture(event.pointerId);
                drag(event, bar);
              }}
              onPointerMove={(event) => drag(event, bar)}
              onPointerUp={() => (held.current = null)}
              onPointerCancel={() => (held.current = null)}
              onKeyDown={(event) => press(event, bar)}
            >
              <i style={{ blockSize: `${at(bar) * 100}%` }} />
              <b>{at(bar).toFixed(2)}</b>
            </div>
            <bdi class="name">{label}</bdi>
          </div>
        ))}
      </div>
      <p class="note" data-part="guess-sum">
        Drag each bar to a height. Together {sum.toFixed(2)}; weights sum to 1.
      </p>
      <button
        type="button"
        class="act"
        data-part="reveal"
        onClick={() =>
          lesson.say(
            labels.map((_, bar) => at(bar)),
            asking.answer(),
          )
        }
      >
        Show the answer
      </button>
    </>
  );
}

function ClickGuess({ lesson, asking }: Props) {
  const picked = asking.picked.value;
  return (
    <>
      <span data-part="picked">{picked === null ? asking.hint : `Your guess: ${asking.textOf(picked)}`}</span>
      <button
        type="button"
        class="act"
        data-part="reveal"
        aria-disabled={picked === null}
        onClick={() => picked !== null && lesson.say(picked, asking.answer())}
      >
        Show the answer
      </button>
    </>
  );
}

const isPlace = (answer: unknown): answer is readonly Said[] =>
  Array.isArray(answer) && Array.isArray(answer[0]);

function Answer({ lesson, asking }: Props) {
  const note = useSignal("");
  const facts = lesson.facts.value!;
  const last = lesson.last.value;
  if (!last) return null;
  const answers = last.answer === null ? [] : isPlace(last.answer) ? last.answer : [last.answer as Said];
  const bars = last.kind === "bars";
  const verdict = {
    true: "Right.",
    false: "Not quite.",
    null: "There is nothing to compare it with.",
  }[String(last.right) as "true"];

  async function copy(): Promise<void> {
    const code = await codeOf("", lesson.guesses.peek());
    note.value = (await copied(code)) ? "Copied: paste it into a mail." : code;
  }

  return (
    <div class="answer" data-part="answer" data-right={last.right} role="status">
      {bars ? (
        <Compared
          guess={last.guess as number[]}
          answer={last.answer as number[] | null}
          labels={asking.labels()}
        />
      ) : (
        <p>
          You said <b data-part="said">{asking.textOf(last.guess)}</b>
          {answers.length > 0 && (
            <>
              ; it is <b data-part="is">{answers.map(asking.textOf).join(" or ")}</b>
            </>
          )}
          .
        </p>
      )}
      <p>
        <b>{verdict}</b> {facts.reveal}
      </p>
      <p class="after">
        <button type="button" class="quiet" data-part="again" onClick={() => lesson.again()}>
          Guess again
        </button>
        {/* At the end of a page they leave together, with a name. */}
        {!document.querySelector("[data-attnwidget-answers]") && (
          <button type="button" class="quiet" data-part="copy-guesses" onClick={() => void copy()}>
            Copy my answers as a code
          </button>
        )}
        {note.value && (
          <span class="note code" data-part="code">
            {note}
          </span>
        )}
      </p>
    </div>
  );
}

interface ComparedProps {
  guess: readonly number[];
  answer: readonly number[] | null;
  labels: readonly string[];
}

/** Guess and answer side by side. */
function Compared({ guess, answer, labels }: ComparedProps) {
  return (
    <div class="guessed-bars compared">
      {labels.map((label, bar) => (
        <div key={bar}>
          <div class="well">
            <i class="said" style={{ blockSize: `${(guess[bar] ?? 0) * 100}%` }} />
            {answer && <i style={{ blockSize: `${(answer[bar] ?? 0) * 100}%` }} />}
          </div>
          <span class="numbers-of-bars">
            {(guess[bar] ?? 0).toFixed(2)}
            {answer && (
              <>
                {" → "}
                <b>{(answer[bar] ?? 0).toFixed(2)}</b>
              </>
            )}
          </span>
          <bdi class="name">{label}</bdi>
        </div>
      ))}
    </div>
  );
}

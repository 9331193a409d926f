/** Questions to the kernel: one outstanding of a kind, the newest waits, older ones are withdrawn. */
import { type Signal, signal } from "@preact/signals";
import type { Bytes } from "../attention/tile";
import type { Model } from "./traits";

export interface Reply {
  header: Record<string, unknown>;
  buffers: Bytes[];
}

/** How long the kernel has been silent: answered in time, busy, or perhaps gone. */
export type Patience = "calm" | "waiting" | "stalled";

const BUSY_AFTER = 700;
/** What nobody waits for in particular may take longer before it is worth a word. */
const BACKGROUND_BUSY_AFTER = 5_000;
const STALLED_AFTER = 20_000;
/** A message from before the host opened its side channel waits behind the running cell; asked again, it does not. */
const ASKED_AGAIN_AFTER = [1_000, 4_000, 16_000];

/** Nobody wants the answer any more; not a failure. */
export class Withdrawn extends Error {}

export interface AskOptions {
  signal?: AbortSignal;
  background?: boolean;
}

interface Question {
  body: object;
  background: boolean;
  signal: AbortSignal | undefined;
  resolve(reply: Reply): void;
  reject(reason: Error): void;
}

interface Line {
  asked: { id: string; question: Question; timers: number[]; patience: Patience } | null;
  next: Question | null;
}

interface Answer {
  id?: unknown;
  ok?: boolean;
  header?: Record<string, unknown>;
  error?: string;
}

export class Requests {
  readonly patience: Signal<Patience> = signal("calm");
  readonly connected = signal(true);

  readonly #model: Model;
  readonly #lines = new Map<string, Line>();
  readonly #name = Math.random().toString(36).slice(2);
  readonly #onMessage = (content: Answer, buffers?: Bytes[]) => this.#hear(content, buffers ?? []);
  #count = 0;

  constructor(model: Model) {
    this.#model = model;
    model.on("msg:custom", this.#onMessage);
  }

  ask(kind: string, body: object, { signal, background = false }: AskOptions = {}): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(new Withdrawn());
      const line = this.#line(kind);
      const question = { body, background, signal, resolve, reject };
      signal?.addEventListener("abort", () => reject(new Withdrawn()), { once: true });
      line.next?.reject(new Withdrawn());
      line.next = question;
      this.#advance(line);
    });
  }

  close(): void {
    this.#model.off("msg:custom", this.#onMessage);
    for (const line of this.#lines.values()) {
      line.next?.reject(new Withdrawn());
      line.asked?.question.reject(new Withdrawn());
      this.#settle(line);
    }
    this.#lines.clear();
  }

  /** Forget what was never answered, so that a person can ask again. */
  retry(): void {
    for (const line of this.#lines.values()) {
      line.asked?.question.reject(new Withdrawn());
      this.#settle(line);
      this.#advance(line);
    }
  }

  #line(kind: string): Line {
    const known = this.#lines.get(kind);
    if (known) return known;
    const line: Line = { asked: null, next: null };
    this.#lines.set(kind, line);
    return line;
  }

  #advance(line: Line): void {
    const question = line.next;
    if (line.asked || !question) return;
    line.next = null;
    if (question.signal?.aborted) return;
    const id = `${this.#name}-${this.#count++}`;
    const asked: Line["asked"] = { id, question, timers: [], patience: "calm" };
    const lose = (patience: Patience) => () => {
      asked.patience = patience;
      this.#weigh();
    };
    asked.timers.push(
      window.setTimeout(lose("waiting"), question.background ? BACKGROUND_BUSY_AFTER : BUSY_AFTER),
    );
    asked.timers.push(window.setTimeout(lose("stalled"), STALLED_AFTER));
    for (const delay of ASKED_AGAIN_AFTER) {
      // Under the same id: whichever answer comes first is the answer.
      asked.timers.push(window.setTimeout(() => this.#send(line, id, question), delay));
    }
    line.asked = asked;
    this.#send(line, id, question);
  }

  #send(line: Line, id: string, question: Question): void {
    try {
      if (this.#model.comm_live === false) throw new Error("closed");
      this.#model.send({ id, ...question.body });
    } catch {
      this.#settle(line);
      this.connected.value = false;
      question.reject(new Error("No kernel is connected: run the cell again."));
    }
  }

  #hear(content: Answer, buffers: Bytes[]): void {
    for (const line of this.#lines.values()) {
      if (!line.asked || line.asked.id !== content?.id) continue;
      const { question } = line.asked;
      this.#settle(line);
      this.connected.value = true;
      if (content.ok && content.header) question.resolve({ header: content.header, buffers });
      else question.reject(new Error(content.error ?? "The kernel answered without a picture or a reason."));
      this.#advance(line);
      return;
    }
  }

  #settle(line: Line): void {
    for (const timer of line.asked?.timers ?? []) window.clearTimeout(timer);
    line.asked = null;
    this.#weigh();
  }

  #weigh(): void {
    const states = [...this.#lines.values()].map((line) => line.asked?.patience ?? "calm");
    this.patience.value = states.includes("stalled")
      ? "stalled"
      : states.includes("waiting")
        ? "waiting"
        : "calm";
  }
}

/** The kernel as a source: one question outstanding of a kind, the newest waits, older ones are withdrawn. */
import { type Signal, signal } from "@preact/signals";
import type { Bytes } from "../attention/tile";
import { type Piece, Pieces } from "./pieces";
import { afterSilence } from "./silence";
import { type AskOptions, type Link, type Patience, type Reply, type Source, Withdrawn } from "./source";
import type { Model } from "./traits";

const BUSY_AFTER = 700;
/** What nobody waits for in particular may take longer before it is worth a word. */
const BACKGROUND_BUSY_AFTER = 5_000;
const STALLED_AFTER = 20_000;
/**
 * Replies are lost, and a message from before the host opened its side channel waits behind the running cell: what is
 * not answered is asked again, each time after so many times longer.
 */
const ASKED_AGAIN_AFTER = 1_000;
const LONGER = 4;

/** Of what several questions say, what is said of all. */
const LOUDEST: readonly Patience[] = ["stalled", "waiting", "unheard"];

/** Hosts mark the element of a widget that is shown without its kernel; few say it of the model. */
export const hasKernel = (model: Model, host: HTMLElement) => (): boolean =>
  model.comm_live !== false && !host.closest(".jupyter-widgets-disconnected");

const unasked = () => new Error("This had not come, and there is no kernel to ask for it.");

interface Question {
  body: object;
  background: boolean;
  signal: AbortSignal | undefined;
  resolve(reply: Reply): void;
  reject(reason: Error): void;
}

interface Asked {
  id: string;
  question: Question;
  pieces: Pieces;
  /** When, in ms. */
  since: number;
  timers: (() => void)[];
  patience: Patience;
}

interface Line {
  asked: Asked | null;
  next: Question | null;
}

interface Answer extends Piece {
  id?: unknown;
  ok?: boolean;
  error?: string;
}

export class Kernel implements Source {
  readonly patience: Signal<Patience> = signal("calm");
  readonly link: Signal<Link>;
  readonly silence: Signal<number | null> = signal(null);
  readonly busy = signal(false);
  readonly made = "";
  readonly missing = "";
  readonly cut = signal(false);

  readonly #model: Model;
  readonly #hasKernel: () => boolean;
  readonly #lines = new Map<string, Line>();
  readonly #name = Math.random().toString(36).slice(2);
  readonly #onMessage = (content: Answer, buffers?: Bytes[]) => this.#hear(content, buffers ?? []);
  /** Hosts say that something changed, and not what: a line that has come back shows itself by the next answer. */
  readonly #onLink = () => this.#model.comm_live || this.#lose();
  #count = 0;
  #clock = 0;

  constructor(model: Model, hasKernel: () => boolean) {
    this.#model = model;
    this.#hasKernel = hasKernel;
    this.link = signal(hasKernel() ? "live" : "absent");
    model.on("msg:custom", this.#onMessage);
    model.on("comm_live_update", this.#onLink);
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
    this.#model.off("comm_live_update", this.#onLink);
    this.#drop(() => new Withdrawn());
    this.#lines.clear();
    window.clearTimeout(this.#clock);
  }

  #lose(): void {
    if (this.link.value === "live") this.link.value = "lost";
    this.#drop(unasked);
  }

  /** Nothing that was asked will be answered. */
  #drop(reason: () => Error): void {
    for (const line of this.#lines.values()) {
      line.next?.reject(reason());
      line.next = null;
      line.asked?.question.reject(reason());
      this.#settle(line);
    }
  }

  atOnce(): null {
    return null;
  }

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
    const asked: Asked = {
      ...{ id, question, pieces: new Pieces(), timers: [] },
      ...{ since: performance.now(), patience: "calm" as Patience },
    };
    const lose = (patience: Patience) => () => {
      asked.patience = patience;
      this.#weigh();
    };
    const busyAfter = question.background ? BACKGROUND_BUSY_AFTER : BUSY_AFTER;
    const unheard = question.background ? undefined : lose("unheard");
    asked.timers.push(afterSilence(busyAfter, lose("waiting"), unheard));
    asked.timers.push(afterSilence(STALLED_AFTER, lose("stalled")));
    const askAgain = (delay: number) => {
      const again = () => {
        askAgain(delay * LONGER);
        // Under the same id: whichever answer comes first is the answer.
        this.#send({ id, ...question.body });
      };
      asked.timers.push(afterSilence(delay, again));
    };
    askAgain(ASKED_AGAIN_AFTER);
    line.asked = asked;
    this.#send({ id, ...question.body });
  }

  #send(content: object): void {
    try {
      if (!this.#hasKernel()) throw new Error("closed");
      this.#model.send(content);
      this.#weigh();
    } catch {
      this.#lose();
    }
  }

  #hear(content: Answer, buffers: Bytes[]): void {
    for (const line of this.#lines.values()) {
      if (!line.asked || line.asked.id !== content?.id) continue;
      const { question, pieces } = line.asked;
      const reply = content.ok ? pieces.add(content, buffers) : null;
      this.link.value = "live";
      if (!reply && content.ok && content.piece !== undefined) return;
      this.#settle(line);
      if (reply) question.resolve(reply);
      else question.reject(new Error(content.error ?? "The kernel answered without a picture or a reason."));
      this.#advance(line);
      return;
    }
  }

  #settle(line: Line): void {
    for (const stop of line.asked?.timers ?? []) stop();
    line.asked = null;
    this.#weigh();
  }

  #weigh(): void {
    const { kernel } = this.#model.widget_manager ?? {};
    this.cut.value = (kernel?.connectionStatus ?? "connected") !== "connected";
    this.busy.value = kernel?.status === "busy";
    const waiting = [...this.#lines.values()].flatMap(({ asked }) =>
      asked && asked.patience !== "calm" ? [asked] : [],
    );
    this.patience.value =
      LOUDEST.find((state) => waiting.some(({ patience }) => patience === state)) ?? "calm";
    const since = Math.min(...waiting.map((asked) => asked.since));
    this.silence.value = waiting.length > 0 ? Math.round((performance.now() - since) / 1000) : null;
    window.clearTimeout(this.#clock);
    if (waiting.length > 0) this.#clock = window.setTimeout(() => this.#weigh(), 1_000);
  }
}

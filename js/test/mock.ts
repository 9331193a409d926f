/** A host without a kernel: a model with traits and messages, which answers about maps of our own. */
import type { Choices } from "../src/explorer/choices";
import type { Facts } from "../src/host/facts";
import type { Model } from "../src/host/traits";
import { type Answer, OPERATIONS, type Question } from "./answers";
import type { MockMap } from "./maps";

type Listener = (...args: unknown[]) => void;

export class MockModel implements Model {
  readonly maps: MockMap[];
  readonly sent: Question[] = [];
  readonly saved: Partial<Choices>[] = [];
  comm_live: boolean | undefined = true;
  widget_manager: NonNullable<Model["widget_manager"]> = { kernel: { connectionStatus: "connected" } };
  /** Decides on each question: answer now, hold it back, or refuse with a sentence. */
  policy: (question: Question) => "answer" | "hold" | { error: string } = () => "answer";
  readonly held: Question[] = [];
  readonly #traits = new Map<string, unknown>();
  readonly #listeners = new Map<string, Set<Listener>>();
  #unsaved: Partial<Choices> = {};

  constructor(maps: MockMap[], choices: Partial<Choices> = {}, title = "") {
    this.maps = maps;
    const facts: Facts = { title, maps: maps.map(({ facts }) => facts) };
    for (const [name, value] of Object.entries({ facts, ...choices })) this.#traits.set(name, value);
  }

  get(name: string): unknown {
    return this.#traits.get(name);
  }

  set(name: string, value: unknown): void {
    if (Object.is(this.#traits.get(name), value)) return;
    this.#traits.set(name, value);
    Object.assign(this.#unsaved, { [name]: value });
    this.#emit(`change:${name}`);
  }

  save_changes(): void {
    this.saved.push(this.#unsaved);
    this.#unsaved = {};
  }

  on(event: string, callback: Listener): void {
    if (!this.#listeners.has(event)) this.#listeners.set(event, new Set());
    this.#listeners.get(event)!.add(callback);
  }

  off(event: string, callback: Listener): void {
    this.#listeners.get(event)?.delete(callback);
  }

  get listeners(): number {
    return [...this.#listeners.values()].reduce((sum, { size }) => sum + size, 0);
  }

  /** What Python does when it sets a trait. */
  fromPython(choices: Partial<Choices> & { facts?: Facts }): void {
    for (const [name, value] of Object.entries(choices)) this.#traits.set(name, value);
    for (const name of Object.keys(choices)) this.#emit(`change:${name}`);
  }

  send(content: unknown): void {
    const question = content as Question;
    this.sent.push(question);
    const decision = this.policy(question);
    if (decision === "hold") this.held.push(question);
    else queueMicrotask(() => this.answer(question, decision === "answer" ? undefined : decision.error));
  }

  answer(question: Question, error?: string): void {
    if (error !== undefined) {
      this.message({ id: question.id, ok: false, error });
      return;
    }
    const { header, buffers } = this.replyTo(question);
    this.message({ id: question.id, ok: true, header }, buffers);
  }

  replyTo(question: Question): Answer {
    const map = this.maps.find(({ facts }) => facts.name === question.map)!;
    const { header, buffers } = OPERATIONS[question.op](map, question);
    const { version } = this.get("facts") as Facts;
    const versioned = question.op === "tile" || question.op === "projections";
    const told = versioned && version !== undefined ? { ...header, version } : header;
    return { header: told, buffers };
  }

  /** Answer everything that was held back. */
  release(): void {
    this.policy = () => "answer";
    for (const question of this.held.splice(0)) this.answer(question);
  }

  /** What JupyterLab does with every widget of a kernel that is restarted; anywidget does not pass on comm_live. */
  disconnect(): void {
    this.comm_live = undefined;
    this.send = () => {
      throw new Error("Cannot send");
    };
    this.#emit("comm_live_update");
  }

  message(content: unknown, buffers: DataView[] = []): void {
    this.#emit("msg:custom", content, buffers);
  }

  #emit(event: string, ...args: unknown[]): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) listener(...args);
  }
}

/** A host's model without a kernel: traits that are set from both sides, and who listens to them. */
import type { Model } from "../src/host/traits";

type Listener = (...args: unknown[]) => void;

export class MockTraits<Choices extends object, Facts> implements Model {
  readonly saved: Partial<Choices>[] = [];
  comm_live: boolean | undefined = true;
  readonly #traits = new Map<string, unknown>();
  readonly #listeners = new Map<string, Set<Listener>>();
  #unsaved: Partial<Choices> = {};

  constructor(facts: Facts, choices: Partial<Choices> = {}) {
    for (const [name, value] of Object.entries({ facts, ...choices })) this.#traits.set(name, value);
  }

  get(name: string): unknown {
    return this.#traits.get(name);
  }

  set(name: string, value: unknown): void {
    if (Object.is(this.#traits.get(name), value)) return;
    this.#traits.set(name, value);
    Object.assign(this.#unsaved, { [name]: value });
    this.emit(`change:${name}`);
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

  /** What Python does when it sets traits. */
  fromPython(choices: Partial<Choices> & { facts?: Facts }): void {
    for (const [name, value] of Object.entries(choices)) this.#traits.set(name, value);
    for (const name of Object.keys(choices)) this.emit(`change:${name}`);
  }

  send(_content: unknown): void {
    throw new Error("Nobody is asked.");
  }

  protected emit(event: string, ...args: unknown[]): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) listener(...args);
  }
}

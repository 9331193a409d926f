/** What has been seen, bounded in bytes; the least recently used goes first. */
export class Cache<T extends { bytes: number }> {
  readonly #limit: number;
  readonly #dropped: (name: string) => void;
  readonly #entries = new Map<string, T>();
  #bytes = 0;

  constructor(limit: number, dropped: (name: string) => void = () => {}) {
    this.#limit = limit;
    this.#dropped = dropped;
  }

  get(name: string): T | undefined {
    const entry = this.#entries.get(name);
    if (entry) {
      // A Map keeps the order of insertion, so putting it back makes it the newest.
      this.#entries.delete(name);
      this.#entries.set(name, entry);
    }
    return entry;
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  set(name: string, entry: T): void {
    this.#remove(name);
    this.#entries.set(name, entry);
    this.#bytes += entry.bytes;
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#limit || this.#entries.size === 1) break;
      this.#remove(oldest);
      this.#dropped(oldest);
    }
  }

  clear(): void {
    const names = [...this.#entries.keys()];
    this.#entries.clear();
    for (const name of names) this.#dropped(name);
    this.#bytes = 0;
  }

  get bytes(): number {
    return this.#bytes;
  }

  #remove(name: string): void {
    this.#bytes -= this.#entries.get(name)?.bytes ?? 0;
    this.#entries.delete(name);
  }
}

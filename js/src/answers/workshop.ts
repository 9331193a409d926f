/** Where maps are made of layers: in a worker where that takes a while, and here where it does not or none may be had. */
import type { HeldLayer } from "../attention/projections";
import { mapOf, type WholeMap, workOf } from "../attention/scores";
import type { FromWorker, ToWorker } from "../attention/worker";
import MapWorker from "../attention/worker?worker&inline";

/** Multiplications that nobody feels: some 2 ms. */
const UNFELT = 2 ** 21;

interface Job {
  layer: HeldLayer;
  head: number;
  done(map: WholeMap): void;
}

export class Workshop {
  #worker: Worker | null = null;
  /** Some policies forbid workers, and say so by an event of theirs instead of an error. */
  #forbidden = false;
  readonly #given = new Set<string>();
  readonly #jobs = new Map<number, Job>();
  #count = 0;

  make(name: string, layer: HeldLayer, head: number): Promise<WholeMap> {
    const worker = workOf(layer) > UNFELT ? this.#hired() : null;
    if (!worker) return Promise.resolve(mapOf(layer, head));
    if (!this.#given.has(name)) {
      this.#given.add(name);
      this.#tell({ hold: name, layer });
    }
    const id = this.#count++;
    return new Promise((done) => {
      this.#jobs.set(id, { layer, head, done });
      this.#tell({ id, layer: name, head });
    });
  }

  drop(name: string): void {
    if (this.#given.delete(name)) this.#tell({ drop: name });
  }

  close(): void {
    this.#worker?.terminate();
    this.#worker = null;
    this.#jobs.clear();
    this.#given.clear();
  }

  #tell(message: ToWorker): void {
    this.#worker?.postMessage(message);
  }

  #hired(): Worker | null {
    if (this.#worker || this.#forbidden) return this.#worker;
    try {
      this.#worker = new MapWorker();
    } catch {
      this.#forbidden = true;
      return null;
    }
    this.#worker.onmessage = ({ data: { id, map } }: MessageEvent<FromWorker>) => {
      const job = this.#jobs.get(id);
      this.#jobs.delete(id);
      job?.done(map);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#forbidden = true;
      const jobs = [...this.#jobs.values()];
      this.close();
      for (const { layer, head, done } of jobs) done(mapOf(layer, head));
    };
    return this.#worker;
  }
}

/** Layers that are in the browser, from which any of their heads is made without asking anybody. */
import { decodeLayer, type HeldLayer, type LayerHeader, type Projections } from "../attention/projections";
import { decodeTile, type Tile } from "../attention/tile";
import type { MapFacts } from "../host/facts";
import type { Reply } from "../host/source";
import { Cache } from "./cache";
import { ofLayer } from "./question";
import { Workshop } from "./workshop";

/** What one view keeps of layers; the least recently looked at go first. */
export const LAYER_BYTES = 64 * 1024 * 1024;

export const layerQuestion = (map: string, layer: number) => ofLayer("projections", map, layer);

export class Layers {
  readonly #held: Cache<{ layer: HeldLayer; bytes: number }>;
  readonly #workshop = new Workshop();

  constructor(limit = LAYER_BYTES) {
    this.#held = new Cache(limit, (name) => this.#workshop.drop(name));
  }

  has(name: string): boolean {
    return this.#held.has(name);
  }

  bytes(name: string): number {
    return this.#held.get(name)?.bytes ?? 0;
  }

  /** Queries and keys; null where the layer is not here, or is here as codes. */
  projections(name: string): Projections | null {
    const layer = this.#held.get(name)?.layer;
    return layer?.form === "projections" ? layer : null;
  }

  keep(name: string, { header, buffers }: Reply): void {
    const layer = decodeLayer(header as unknown as LayerHeader, buffers);
    this.#workshop.drop(name);
    // Halves are held as whole numbers.
    const floats = layer.form === "projections" ? layer.q.byteLength + layer.k.byteLength : 0;
    this.#held.set(name, { layer, bytes: Math.max(layer.bytes, floats) });
  }

  /** The whole map of a head as a tile; null where its layer is not here. */
  tile(name: string, head: number, map: MapFacts): Promise<Tile> | null {
    const held = this.#held.get(name);
    if (!held) return null;
    const { nQueries, nKeys } = held.layer;
    return this.#workshop.make(name, held.layer, head).then(({ low, step, codes, missing, entropy }) => {
      const header = {
        rows: [0, nQueries] as [number, number],
        columns: [0, nKeys] as [number, number],
        stride: [1, 1] as [number, number],
        shape: [nQueries, nKeys] as [number, number],
        low,
        step,
        temperature: 1,
        scaling: 1,
        pooling: "max" as const,
        sampled: null,
        work: nQueries * nKeys,
      };
      return decodeTile(header, [codes, missing, entropy], nKeys, map.causal);
    });
  }

  clear(): void {
    this.#held.clear();
  }

  close(): void {
    this.clear();
    this.#workshop.close();
  }
}

/** Makes maps of heads off the main thread; it holds the layers that it was given until they are dropped. */
import type { HeldLayer } from "./projections";
import { mapOf, type WholeMap } from "./scores";

export type ToWorker =
  | { hold: string; layer: HeldLayer }
  | { drop: string }
  | { id: number; layer: string; head: number };
export interface FromWorker {
  id: number;
  map: WholeMap;
}

const layers = new Map<string, HeldLayer>();

self.onmessage = ({ data }: MessageEvent<ToWorker>) => {
  if ("hold" in data) layers.set(data.hold, data.layer);
  else if ("drop" in data) layers.delete(data.drop);
  else {
    const map = mapOf(layers.get(data.layer)!, data.head);
    const answer: FromWorker = { id: data.id, map };
    self.postMessage(answer, { transfer: [map.codes.buffer, map.missing.buffer, map.entropy.buffer] });
  }
};

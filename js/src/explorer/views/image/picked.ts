/** What one Explorer shows of its pictures: which of them is large, and what is compared over it. */
import { type Signal, signal } from "@preact/signals";
import { axisOf, type ImageGrid, imageAxis, imagesOf, type MapFacts } from "../../../host/facts";
import type { Store } from "../../store";

/** The heads of the chosen layer, or the chosen head through all layers. */
export type Across = "heads" | "layers";

interface Picked {
  /** Place among the pictures of the axis; null where nobody has chosen. */
  image: Signal<number | null>;
  across: Signal<Across>;
}

const known = new WeakMap<Store, Picked>();

export function pickedOf(store: Store): Picked {
  const held = known.get(store) ?? { image: signal<number | null>(null), across: signal<Across>("heads") };
  known.set(store, held);
  return held;
}

export interface Shown {
  axis: "keys" | "queries";
  images: ImageGrid[];
  /** The large one, and its place among them. */
  image: ImageGrid;
  number: number;
}

/** The pictures of a map, and which of them is large; null where it has none. */
export function shownOf(store: Store, map: MapFacts): Shown | null {
  const axis = imageAxis(map);
  if (!axis) return null;
  const images = imagesOf(axisOf(map, axis));
  // Of a picture in tiles the whole is shown first.
  const whole = Math.max(
    0,
    images.findIndex(({ name }) => name?.endsWith("overview")),
  );
  const number = Math.min(pickedOf(store).image.value ?? whole, images.length - 1);
  return { axis, images, image: images[number]!, number };
}

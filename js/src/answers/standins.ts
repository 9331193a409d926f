/** What of earlier maps may stay on the screen until new ones have their own. */
import { axisOf, type Facts, type MapFacts } from "../host/facts";

const named = (facts: Facts | null, name: string): MapFacts | undefined =>
  facts?.maps.find((map) => map.name === name);

/** Entries are called after their map and, behind the last slash, something of it. */
const parted = (name: string): [map: string, of: string] => {
  const at = name.lastIndexOf("/");
  return [name.slice(0, at), name.slice(at + 1)];
};

function filtered<T>(known: ReadonlyMap<string, T>, keep: (map: string, of: string) => boolean) {
  return new Map([...known].filter(([name]) => keep(...parted(name))));
}

/** Small pictures and numbers of the same heads, which the new ones replace one by one. */
export function standIns<T>(
  known: ReadonlyMap<string, T>,
  before: Facts | null,
  after: Facts | null,
): ReadonlyMap<string, T> {
  const form = (map?: MapFacts) => JSON.stringify([map?.heads, map?.measures]);
  return filtered(known, (map) => form(named(before, map)) === form(named(after, map)));
}

/** Pictures that are still the same, and need not come again. */
export function samePictures<T>(
  known: ReadonlyMap<string, T>,
  before: Facts | null,
  after: Facts | null,
): ReadonlyMap<string, T> {
  return filtered(known, (map, axis) => {
    const [one, other] = [before, after].map((facts) => {
      const found = named(facts, map);
      return found && axisOf(found, axis as "keys" | "queries").image?.digest;
    });
    return typeof other === "number" && one === other;
  });
}

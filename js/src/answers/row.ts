/** One exact row of a long map, as a tile. */
import { decodeTile, type Tile, type TileHeader } from "../attention/tile";
import type { Question } from "./question";
import { exactRow, type PlaceOfMap } from "./tile";

export function row(place: PlaceOfMap, query: number): Question<Tile> {
  const { map, layer, head, facts } = place;
  return {
    name: `row/${map}/${layer}/${head}/${query}`,
    body: { ...exactRow(place, query).body, op: "tile", map },
    worth: () => "none",
    read: ({ header, buffers }) =>
      decodeTile(header as unknown as TileHeader, buffers, facts.n_keys, facts.causal),
  };
}

/** Kind: what a view says of itself to the choices. */
import type { MapFacts } from "../host/facts";
import type { Differs } from "./comparing";

/** What the choices have to know of a view. */
export interface Kind {
  name: string;
  /** Whether a map can be seen so; all can where it is not said. */
  suits?: (map: MapFacts) => boolean;
  /** Whether it shows the row of some query even where none is pinned: the first one's. */
  reads?: boolean;
  /**
   * Whether it can show the difference of two heads, by the colours and the numbers of `Store.tint` and `PinnedRow.shown`;
   * "runs" where it shows many heads, each of which has its like in another run alone.
   */
  differs?: Differs;
  /** Whether it can show two heads side by side. */
  pairs?: boolean;
}

/** Whether a view can show a map; effects are differences, and no weights. */
export const shows = ({ suits, differs }: Kind, map: MapFacts, effects: boolean): boolean =>
  (suits?.(map) ?? true) && (!effects || Boolean(differs));

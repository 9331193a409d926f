/** Which colour is which weight of what is drawn. */
import { Legend } from "../../controls/legend";
import type { Scale } from "../../drawing/legend";
import type { Store } from "../store";

interface Props {
  store: Store;
  /** The weight at the upper end; the map's own unless another is given. */
  largest?: number | undefined;
}

/** Whose the upper end is, where it is not the map's own. */
const ENDS = {
  map: undefined,
  rows: "of each row's largest weight",
  seen: "up to the largest seen so far",
  means: "up to the largest mean seen at this zoom",
};

export function scaleOf(store: Store, largest?: number): Scale {
  const paint = store.paint.value;
  const own = largest === undefined && store.traits.color_range.value !== "shared";
  const tile = store.drawn.value?.tile;
  return {
    ramp: store.ramp.value,
    scale: store.traits.color_scale.value,
    largest: largest ?? paint.largest,
    end: own ? ENDS[paint.of] : undefined,
    masked: tile?.hasMasked ?? false,
    undefinedRows: (tile?.undefinedRows.length ?? 0) > 0,
  };
}

export const Key = ({ store, largest }: Props) => <Legend {...scaleOf(store, largest)} />;

/** Where nothing is hatched: what a query may not see is not there, or is written in grey. */
export const Ramp = ({ store, largest }: Props) => (
  <Legend {...scaleOf(store, largest)} masked={false} undefinedRows={false} />
);

/** Which colour is which weight of what is drawn. */
import { Legend } from "../../controls/legend";
import type { Scale } from "../../drawing/legend";
import type { Store } from "../store";

interface Props {
  store: Store;
  /** The weight at the upper end; the map's own unless another is given. */
  largest?: number | undefined;
}

export function scaleOf(store: Store, largest = store.paint.value.largest): Scale {
  const tile = store.drawn.value?.tile;
  return {
    ramp: store.ramp.value,
    scale: store.traits.color_scale.value,
    largest,
    masked: tile?.hasMasked ?? false,
    undefinedRows: (tile?.undefinedRows.length ?? 0) > 0,
  };
}

export const Key = ({ store, largest }: Props) => <Legend {...scaleOf(store, largest)} />;

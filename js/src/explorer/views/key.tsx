/** Which colour is which weight of what is drawn. */
import { Legend } from "../../controls/legend";
import type { Store } from "../store";

interface Props {
  store: Store;
  /** The weight at the upper end; the map's own unless another is given. */
  largest?: number;
}

/** Whose the upper end is, where it is not the map's own. */
const ENDS = {
  map: undefined,
  seen: "up to the largest seen so far",
  means: "up to the largest mean seen at this zoom",
};

export function Key({ store, largest }: Props) {
  const paint = store.paint.value;
  const own = largest === undefined && store.traits.color_range.value === "map";
  const tile = store.drawn.value?.tile;
  return (
    <Legend
      ramp={store.ramp.value}
      scale={store.traits.color_scale.value}
      largest={largest ?? paint.largest}
      end={own ? ENDS[paint.of] : undefined}
      masked={tile?.hasMasked ?? false}
      undefinedRows={(tile?.undefinedRows.length ?? 0) > 0}
    />
  );
}

/** Which colour is which weight of what is drawn. */
import { Legend } from "../../controls/legend";
import type { Store } from "../store";

interface Props {
  store: Store;
  /** The weight at the upper end; the map's own unless another is given. */
  largest?: number;
}

export function Key({ store, largest = store.paint.value.largest }: Props) {
  const tile = store.drawn.value?.tile;
  return (
    <Legend
      ramp={store.ramp.value}
      scale={store.traits.color_scale.value}
      largest={largest}
      masked={tile?.hasMasked ?? false}
      undefinedRows={(tile?.undefinedRows.length ?? 0) > 0}
    />
  );
}

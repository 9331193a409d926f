/** Which colour is which weight of what is drawn. */
import { bothWays } from "../../attention/colour";
import { Legend } from "../../controls/legend";
import type { Ends, Scale } from "../../drawing/legend";
import { quoted } from "../../drawing/words";
import { endsOf } from "../comparing";
import type { Store } from "../store";
import type { Effect } from "../weighing";

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

const DIFFERENCE_ENDS = {
  ...ENDS,
  rows: "of each row's largest difference",
  means: "up to the largest difference of means seen at this zoom",
};

const EFFECT_ENDS = {
  ...DIFFERENCE_ENDS,
  rows: "of each row's largest effect",
};

const VALUED = "weight × size of value, of each row";

/** What the ends of an effect are; shares of each row's largest have no unit. */
export const speaking = ({ target, versus }: Effect, shares: boolean): Ends => ({
  lower: versus ? `for ${quoted(versus)}` : `against ${quoted(target)}`,
  upper: `for ${quoted(target)}`,
  ...(!shares && { unit: "logits" }),
});

export function scaleOf(store: Store, largest?: number): Scale {
  const paint = store.paint.value;
  const own = largest === undefined && store.traits.color_range.value !== "shared";
  const signed = store.compared.value === "difference";
  const pair = store.pair.value;
  const effect = store.weighing.effect.value;
  const shares = largest === undefined && paint.of === "rows";
  const end = largest ?? paint.largest;
  const ends = effect ? EFFECT_ENDS : signed ? DIFFERENCE_ENDS : ENDS;
  const shown = signed ? store.difference.value : store.drawn.value?.tile;
  return {
    ramp: signed ? bothWays(store.diverging.value) : store.ramp.value,
    ...(signed && pair && { ends: effect ? speaking(effect, shares) : endsOf(pair) }),
    scale: store.traits.color_scale.value,
    largest: shares ? end : store.weighing.scaled(end),
    end:
      [own && ends[paint.of], store.weighing.valued.value && VALUED].filter(Boolean).join(", ") || undefined,
    masked: shown?.hasMasked ?? false,
    undefinedRows: (shown?.undefinedRows.length ?? 0) > 0,
  };
}

/** The end of colours that a view finds for itself, unless all are to end at 1; null where it has none, or nothing yet. */
export const rampEnd = (store: Store, own: number | null): number | null =>
  own === null || own === 0 ? null : store.traits.color_range.value === "shared" ? 1 : own;

export const Key = ({ store, largest }: Props) => <Legend {...scaleOf(store, largest)} />;

/** Where nothing is hatched: what a query may not see is not there, or is written in grey. */
export const Ramp = ({ store, largest }: Props) => (
  <Legend {...scaleOf(store, largest)} masked={false} undefinedRows={false} />
);

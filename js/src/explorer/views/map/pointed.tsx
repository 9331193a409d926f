/** The exact value of the cell, or the entropy of the row, under the pointer or the cursor. */
import type { ReadonlySignal } from "@preact/signals";
import { Tooltip } from "../../../controls/tooltip";
import { columnX, rowY } from "../../../drawing/geometry";
import { bracketed } from "../../../drawing/naming";
import { exact, quoted, shortened } from "../../../drawing/words";
import { keysOf } from "../../../host/facts";
import { sideName } from "../../comparing";
import { type Drawn, type Hover, isDifference, numberOf, type Shown, type Store } from "../../store";
import type { Stage } from "./stage";
import { saidOf } from "./strip";

const OFFSET = 14;

interface Props {
  store: Store;
  stage: ReadonlySignal<Stage | null>;
  of?: () => Shown | null;
}

export function Pointed({ store, stage, of }: Props) {
  const shown = of ? of() : store.picture.value;
  const hover = store.hover.value;
  if (!hover || !store.map.value || !shown || !stage.value) return null;
  if (hover.from !== "heatmap" && hover.from !== "entropy") return null;
  const lines = describe(store, shown, hover);
  if (!lines) return null;
  const { plot, width, entropyWidth } = stage.value;
  const window = store.window.value;
  const x = hover.from === "entropy" ? width : columnX(plot, window, (hover.key ?? 0) + 1);
  // What stands along the keys is below the last row.
  const y = hover.query === null ? plot.y + plot.height : rowY(plot, window, hover.query + 1);
  // It opens towards the middle, so that it never leaves the widget.
  const before = x > (width + entropyWidth) * 0.6;
  const above = y > plot.y + plot.height * 0.7;
  const left = before ? Math.min(x, width) - OFFSET * 2 : x + OFFSET / 2;
  return (
    <Tooltip
      lines={lines}
      left={left}
      top={above ? y - OFFSET * 2 : y + OFFSET / 2}
      before={before}
      above={above}
      room={before ? left : width + entropyWidth - left}
    />
  );
}

function describe(store: Store, shown: Shown, { query, key }: Hover): string[] | null {
  const map = store.map.value!;
  const { tile } = shown;
  const keys = keysOf(map);
  if (query === null) {
    if (key === null || !map.strip) return null;
    return [
      `${quoted(keys.labels[key])}  key ${key}${bracketed(keys, key)}`,
      saidOf(map.strip, key),
      shortened(map.strip.name),
    ];
  }
  const from = quoted(map.queries.labels[query]);
  if (key === null) {
    const row = Math.floor((query - tile.rows[0]) / tile.stride[0]);
    return [
      `${from}  query ${query}${bracketed(map.queries, query)}`,
      ...entropies(store, shown).map(([name, { entropy }]) =>
        [
          name && `${name}:`,
          tile.stride[0] > 1
            ? `mean entropy of ${tile.sampled?.join(" of ") ?? tile.stride[0]} queries`
            : "entropy",
          `${exact(entropy[row] ?? Number.NaN)} nats`,
        ]
          .filter(Boolean)
          .join(" "),
      ),
    ];
  }
  const weight = numberOf(shown, query, key);
  const pooled =
    tile.stride[0] * tile.stride[1] > 1
      ? ` ${tile.pooling === "mean" ? "mean" : "largest"} of ${tile.stride[0]} × ${tile.stride[1]} cells`
      : "";
  return [
    `${from} → ${quoted(keys.labels[key])}`,
    ...(isDifference(shown) && weight !== null
      ? [
          `${store.weighing.said(weight, true)}${pooled && " between points, each the"}${pooled}`,
          ...bothNumbers(store, shown, query, key),
        ]
      : [
          weight === null
            ? "masked"
            : `${exact(weight)}${pooled}${store.weighing.valued.value ? " of the row" : ""}`,
        ]),
    `query ${query}${bracketed(map.queries, query)}, key ${key}${bracketed(keys, key)}`,
    ...(map.strip ? [`${shortened(map.strip.name)}: ${saidOf(map.strip, key)}`] : []),
  ];
}

/** Of whom entropies are shown: of both, where they are compared. */
function entropies(store: Store, shown: Shown): [string, Drawn][] {
  const pair = store.pair.value;
  if (!isDifference(shown) || !pair) return [["", isDifference(shown) ? shown.second : shown]];
  return [
    [sideName(pair, "first"), shown.first],
    [sideName(pair, "second"), shown.second],
  ];
}

function bothNumbers(store: Store, shown: Shown, query: number, key: number): string[] {
  // An effect has one sign or the other.
  if (store.weighing.effect.value) return [];
  return entropies(store, shown).map(([name, drawn]) => {
    const weight = numberOf(drawn, query, key);
    return `${name}: ${weight === null ? "masked" : exact(weight)}`;
  });
}

/** Heads in a line: their pictures on one canvas, drawn when it is in sight, and over each the button that chooses it. */
import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { measureOf } from "../../../answers/measures";
import { thumbnails as thumbnailsOf } from "../../../answers/thumbnails";
import { useDrawing } from "../../../drawing/canvas";
import type { MapFacts } from "../../../host/facts";
import type { Answers } from "../../answers";
import { areRuns } from "../../comparing";
import type { Store } from "../../store";
import type { Told } from "../head/alarms";
import { shownOf } from "../image/picked";
import { inksOf, type Over, type Pictures } from "./pictures";
import type { HeadPlace } from "./ranking";
import type { Sight } from "./sight";
import { Thumb } from "./thumb";

/** What all lines of a grid share. */
export interface Lined {
  store: Store;
  answers: Answers;
  map: MapFacts;
  sight: Sight;
  pictures: Pictures;
  told: ReadonlyMap<string, Told>;
  /** CSS pixels of a picture. */
  size: number;
}

interface Props extends Lined {
  /** The same array as long as these are the heads. */
  places: readonly HeadPlace[];
  /** CSS pixels from the left to each head; the same array as long as they stand there. */
  starts: readonly number[];
  /** In an order of its own each says where it belongs. */
  named: boolean;
}

/** Where pictures are looked at, heads are compared over them. */
function overOf(store: Store, map: MapFacts): Over | null {
  const shown = store.view.value === "image" ? shownOf(store, map) : null;
  const query = store.reading.value;
  return shown?.axis === "keys" && query !== null ? { query, image: shown.image } : null;
}

export function Line({ store, answers, map, sight, pictures, told, size, places, starts, named }: Props) {
  const line = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const visible = useSignal(false);
  const changed = useSignal({ map, size, places, starts });
  const chosen = useComputed(() =>
    changed.value.places.findIndex(
      ({ layer, head }) => layer === store.layer.value && head === store.head.value,
    ),
  );
  const last = changed.peek();
  if (last.map !== map || last.size !== size || last.places !== places || last.starts !== starts)
    changed.value = { map, size, places, starts };

  useEffect(() => {
    const layers = [...new Set(places.map(({ layer }) => layer))];
    const { visible: seen, stop } = sight.watch(line.current!, layers);
    const release = seen.subscribe((is) => {
      visible.value = is;
    });
    return () => {
      release();
      stop();
    };
  }, [sight, places]);

  useDrawing(() => {
    const { map: shown, ...heads } = changed.value;
    if (!(visible.value || store.colours.value.paper) || !canvas.current) return;
    pictures.draw(canvas.current, answers.known, shown, heads, inksOf(store), overOf(store, shown));
  });

  const measure = store.measure.value;
  const asked = (layer: number) => thumbnailsOf(map.name, layer);
  const stale = places.some(
    ({ layer }) => answers.known.get(asked(layer)) !== undefined && !answers.known.isFresh(asked(layer)),
  );
  const span = (starts.at(-1) ?? 0) + size;
  const pair = store.pair.value;
  const first = pair && !areRuns(pair) && pair.first.map === map.name ? pair.first : null;
  return (
    <div
      class="heads"
      ref={line}
      data-stale={stale}
      data-chosen={chosen.value >= 0}
      style={{ "--span": `${span}px`, "--high": `${size}px`, inlineSize: `${span}px` }}
    >
      <canvas ref={canvas} width={1} height={1} role="presentation" />
      {places.map(({ layer, head }, at) => (
        <Thumb
          key={`${layer}/${head}`}
          map={map}
          layer={layer}
          head={head}
          before={starts[at]! - (at > 0 ? starts[at - 1]! + size : 0)}
          size={size}
          measure={measure}
          value={measure ? measureOf(answers.known, map, layer, head, measure.index) : undefined}
          named={named}
          told={told.get(`${layer}/${head}`)}
          chosen={at === chosen.value}
          off={!map.derived && store.applying.isOff(layer, head)}
          reference={layer === first?.layer && head === first.head}
          loaded={answers.known.get(asked(layer)) !== undefined}
          fresh={answers.known.isFresh(asked(layer))}
          onChoose={store.select}
        />
      ))}
    </div>
  );
}

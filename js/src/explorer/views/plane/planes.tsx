/** All heads of a layer as planes in small, each with how far it can be read. */
import { useLayoutEffect, useRef } from "preact/hooks";
import { type Plane, plane as planeQuestion } from "../../../answers/plane";
import { prepare } from "../../../drawing/canvas";
import { paint } from "../../../drawing/paint";
import { headNumber, type MapFacts } from "../../../host/facts";
import type { Answers } from "../../answers";
import type { Store } from "../../store";
import { placing, pointMarks, positionsIn, READABLE, sizeOf } from "./points";

const SMALL = 92;

interface Props {
  store: Store;
  answers: Answers;
  map: MapFacts;
}

/** To be chosen from. */
export function Heads({ store, answers, map }: Props) {
  const layer = store.layer.value;
  const asked = planeQuestion(map.name, layer, null);
  const all = answers.known.isFresh(asked) ? answers.known.get(asked) : undefined;
  if (!all || all.size < 2) return null;
  return (
    <div class="planes" role="group" aria-label="Heads of this layer">
      {[...all].map(([head, plane]) => {
        const said = Number.isNaN(plane.correlation) ? "–" : plane.correlation.toFixed(2).replace("-", "−");
        const number = headNumber(map, layer, head);
        return (
          <button
            type="button"
            key={head}
            data-part="plane-head"
            data-head={head}
            data-readable={plane.correlation >= READABLE}
            aria-pressed={head === store.head.value}
            onClick={() => store.select(layer, head)}
          >
            <Small store={store} map={map} plane={plane} />
            <span>
              <span class="spoken">Head </span>
              {number}{" "}
              <small>
                <span class="spoken">rank correlation </span>
                {said}
                {plane.correlation < READABLE && <span class="spoken">, not readable</span>}
              </small>
            </span>
          </button>
        );
      })}
    </div>
  );
}

function Small({ store, map, plane }: { store: Store; map: MapFacts; plane: Plane }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const colours = store.colours.value;
  const positions = positionsIn(store).value;
  const ramp = store.ramp.value;
  useLayoutEffect(() => {
    const context = prepare(canvas.current!, SMALL, SMALL);
    const place = placing(plane, SMALL, 6);
    paint(
      context,
      colours.font,
      pointMarks(store, colours, map, plane, place, { size: sizeOf(plane, SMALL), positions }),
    );
  }, [store, colours, ramp, map, plane, positions]);
  return <canvas ref={canvas} role="presentation" />;
}

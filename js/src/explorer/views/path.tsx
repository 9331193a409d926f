/** Which map is shown, as the picture's title: the kind of maps, the layer and the head, each with steps to its neighbours. */
import { headName, placeName, sharing } from "../../drawing/naming";
import { headNumber, layerNumber, type MapFacts } from "../../host/facts";
import { areRuns } from "../comparing";
import { stepHead, stepLayer } from "../stepping";
import type { Store } from "../store";
import { Letter, Sides } from "./head/compared";
import { Details } from "./weigh/details";
import { Switch } from "./weigh/switch";

interface StepsProps {
  what: "layer" | "head";
  /** As the model calls it. */
  number: number;
  first: boolean;
  last: boolean;
  step: (by: number) => void;
}

function Steps({ what, number, first, last, step }: StepsProps) {
  const alone = first && last;
  const button = (by: number, idle: boolean) => (
    <button
      type="button"
      class={by < 0 ? "back" : "on"}
      data-part={`${by < 0 ? "previous" : "next"}-${what}`}
      aria-label={`${by < 0 ? "Previous" : "Next"} ${what}`}
      title={`${by < 0 ? "Previous" : "Next"} ${what} (${what === "head" ? "[ ]"[by < 0 ? 0 : 2] : "{ }"[by < 0 ? 0 : 2]})`}
      aria-disabled={idle}
      onClick={() => idle || step(by)}
    />
  );
  return (
    <span class="step">
      {`${what} `}
      {!alone && button(-1, first)}
      <b>{number}</b>
      {!alone && button(1, last)}
    </span>
  );
}

/** The kinds of maps: those of the model, and what was made of them. */
function Maps({ store, map }: { store: Store; map: MapFacts }) {
  // Of two runs the one that is looked at: what of it, is chosen here.
  const maps = (store.facts.value?.maps ?? []).filter(({ run }) => run === map.run);
  const nameOf = ({ name, part }: MapFacts) => (store.pair.value && part ? part : name);
  const named = (derived: boolean) =>
    maps
      .filter((one) => Boolean(one.derived) === derived)
      .map((one) => (
        <option key={one.name} value={one.name} selected={one.name === map.name}>
          {nameOf(one)}
        </option>
      ));
  if (maps.length < 2 || store.lesson.isLocked("map")) {
    return map.derived || maps.length > 1 ? <span class="kind">{nameOf(map)}</span> : null;
  }
  return (
    <select
      class="kind"
      data-part="map"
      aria-label="Map"
      value={map.name}
      onChange={(event) => store.chooseMap(event.currentTarget.value)}
    >
      {named(false)}
      {named(true).length > 0 && <optgroup label="Made of all heads">{named(true)}</optgroup>}
    </select>
  );
}

/** The title, and beside it what its cells say. */
export const Path = ({ store }: { store: Store }) => (
  <>
    <Title store={store} />
    <Switch store={store} />
    <Details store={store} />
  </>
);

function Title({ store }: { store: Store }) {
  const { chosen } = store.places.value;
  if (!chosen) return null;
  const { facts: map, layer, head } = chosen;
  const layers = map.heads.length;
  const heads = map.heads[layer] ?? 0;
  const pair = store.pair.value;
  const group = sharing(map, layer, head);
  const single = map.derived && layers === 1;
  return (
    <h2
      class="path"
      data-part="path"
      data-place={placeName(map, layer, head)}
      title={map.layer_names[layer] ?? ""}
    >
      {pair && !areRuns(pair) && <Letter name="B" />}
      <Maps store={store} map={map} />
      {!single && (
        <Steps
          what="layer"
          number={layerNumber(map, layer)}
          first={layer === 0}
          last={layer === layers - 1}
          step={(by) => stepLayer(store, by)}
        />
      )}
      {map.derived ? (
        heads > 1 && <span class="step">{headName(map, layer, head)}</span>
      ) : (
        <Steps
          what="head"
          number={headNumber(map, layer, head)}
          first={head === 0}
          last={head === heads - 1}
          step={(by) => stepHead(store, by)}
        />
      )}
      {group && <small>{group}</small>}
      <Sides store={store} />
    </h2>
  );
}

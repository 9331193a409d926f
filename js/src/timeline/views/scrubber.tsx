/** Play, and a slider over the steps. */
import { measured } from "../../drawing/words";
import type { Player } from "../play";
import type { Store } from "../store";

interface Props {
  store: Store;
  player: Player;
}

/** What was written with the reading, of each run. */
function loggedAt(store: Store): string {
  const runs = store.runs.value;
  return runs
    .map((run) => {
      const place = run.placeOf(store.step.value);
      const told = Object.entries(run.logged.value)
        .map(([name, values]) => [name, values[place]] as const)
        .filter(([, value]) => typeof value === "number")
        .map(([name, value]) => `${name} ${measured(value as number)}`);
      return told.length > 0 && run.name ? `${run.name}: ${told.join(", ")}` : told.join(", ");
    })
    .filter(Boolean)
    .join(" · ");
}

export function Scrubber({ store, player }: Props) {
  const stops = store.stops.value;
  const step = store.step.value;
  const [first, last] = [stops[0] ?? 0, stops.at(-1) ?? 0];
  const logged = loggedAt(store);

  function press(event: KeyboardEvent): void {
    event.stopPropagation();
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const tenth = Math.max(1, Math.round(stops.length / 10));
    const by = {
      ArrowLeft: -1,
      ArrowDown: -1,
      ArrowRight: 1,
      ArrowUp: 1,
      PageUp: tenth,
      PageDown: -tenth,
      Home: -stops.length,
      End: stops.length,
    }[event.key];
    if (event.key === " ") player.toggle();
    else if (by !== undefined) {
      player.stop();
      store.move(by);
    } else return;
    event.preventDefault();
  }

  return (
    <div class="scrubber">
      <output data-part="step">
        <b>{store.stepName(step)}</b>
        {logged && <small>{logged}</small>}
      </output>
      <button
        type="button"
        data-part="play"
        aria-pressed={player.playing.value}
        aria-label={player.playing.value ? "Stop" : "Play"}
        title={player.playing.value ? "Stop" : "Play"}
        aria-disabled={stops.length < 2}
        onClick={() => player.toggle()}
      >
        {player.playing.value ? "❚❚" : "▶"}
      </button>
      <input
        type="range"
        data-part="scrubber"
        aria-label="Step"
        aria-valuetext={store.stepName(step)}
        min={first}
        max={last}
        step="any"
        value={step}
        disabled={stops.length < 2}
        onInput={(event) => {
          if (player.playing.peek()) player.stop();
          store.scrub(event.currentTarget.valueAsNumber);
        }}
        onChange={() => store.settle()}
        onKeyDown={press}
      />
    </div>
  );
}

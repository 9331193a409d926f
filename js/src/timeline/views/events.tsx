/** What happened, in order; each leads to its step. */
import type { Player } from "../play";
import type { Event } from "../run";
import type { Store } from "../store";

type Kind = Event["kind"] | "own";

const SIGN: Record<Kind, string> = { alert: "!", finding: "+", gone: "−", own: "•" };
const SAID: Record<Kind, string> = {
  alert: "Alert",
  finding: "Found",
  gone: "No longer found",
  own: "Note",
};
/** More are folded away. */
const SHOWN = 8;

export function Events({ store, player }: { store: Store; player: Player }) {
  const several = store.runs.value.length > 1;
  const found = store.runs.value.flatMap((run) =>
    run.events.value.map(({ place, kind, text }) => ({
      ...{ kind: kind as Kind, text, run: run.name, step: run.steps.value[place]! },
    })),
  );
  const own = store.own.value.map(([step, text]) => ({ kind: "own" as Kind, text, run: "", step }));
  const all = [...found, ...own].sort((one, other) => one.step - other.step);
  if (all.length === 0) return null;
  const item = (event: (typeof all)[number], at: number) => (
    <li key={at}>
      <button
        type="button"
        data-part="event"
        data-kind={event.kind}
        title={SAID[event.kind]}
        onClick={() => {
          player.stop();
          store.go(event.step);
        }}
      >
        <i aria-hidden="true">{SIGN[event.kind]}</i>
        <span class="spoken">{SAID[event.kind]}: </span>
        <span class="at">{store.stepName(event.step)}</span> <bdi>{event.text}</bdi>
        {several && event.run && <small>{event.run}</small>}
      </button>
    </li>
  );
  return (
    <section class="events" aria-label="Events">
      <ol>{all.slice(0, SHOWN).map(item)}</ol>
      {all.length > SHOWN && (
        <details>
          <summary>{all.length - SHOWN} more</summary>
          <ol>{all.slice(SHOWN).map(item)}</ol>
        </details>
      )}
    </section>
  );
}

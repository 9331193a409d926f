/** One quiet line: how far loading is, and what the kernel is doing when nothing comes. */

import type { Source } from "../../host/source";
import type { Answers } from "../answers";
import type { Store } from "../store";

interface Props {
  store: Store;
  answers: Answers;
  source: Source;
}

/** What is known, and no more: busy is who says so, and the cell is not run again where there may be none. */
function sentence(store: Store, source: Source): string {
  const { link, patience, cut, silence, busy } = source;
  if (link.value === "absent") return "No kernel has these maps: run the cell again.";
  if (link.value === "lost") return "The kernel was restarted or shut down: run the cell again.";
  if (link.value === "kept") {
    const on = source.made ? ` on ${source.made}` : "";
    return `No kernel has these maps; this was kept${on}. ${source.missing}`.trim();
  }
  if (store.empty.value) return "There is no attention to show.";
  // What is missing is said where it is missed.
  if (link.value === "page") return store.isCoarse.value ? source.missing : "";
  if (patience.value === "calm") return "";
  if (patience.value === "unheard") return "This page is busy; the picture comes when it has time.";
  if (cut.value) return "The connection to the kernel is cut; the picture comes when it is back.";
  const seconds = `${silence.value} s`;
  if (busy.value && patience.value === "waiting")
    return "The kernel is busy; the picture comes when it is free.";
  if (busy.value) return `The kernel has been busy for ${seconds}; the picture comes when it is free.`;
  const nobody = `Nobody has answered for ${seconds}`;
  return patience.value === "waiting"
    ? `${nobody}.`
    : `${nobody}: the kernel may have stopped, or there is none here.`;
}

/** What is on its way to the grid: numbers come before pictures. */
function loading(answers: Answers): { what: string; there: number; of: number } {
  const measured = answers.measured();
  if (measured.there < measured.of) return { what: "Measuring the heads", ...measured };
  return { what: "Thumbnails in sight", ...answers.pictured() };
}

export function Status({ store, answers, source }: Props) {
  const { what, there, of } = loading(answers);
  const share = of === 0 ? 1 : there / of;
  const text = sentence(store, source);
  return (
    <div class="status">
      <div
        class="progress"
        data-part="progress"
        role="progressbar"
        aria-label={what}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(share * 100)}
        aria-valuetext={`${there} of ${of} layers`}
        title={`${what}: ${there} of ${of} layers`}
        data-done={share === 1}
        style={{ "--share": share }}
      />
      <div class="state">
        <p data-part="status" role="status">
          {text}
        </p>
        {source.link.value === "live" && source.patience.value === "stalled" && (
          <button type="button" class="quiet" data-part="retry" onClick={() => answers.retry()}>
            Try again
          </button>
        )}
      </div>
    </div>
  );
}

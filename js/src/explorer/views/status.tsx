/** One quiet line: how far loading is, and what the kernel is doing when nothing comes. */

import type { Source } from "../../host/source";
import type { Answers } from "../answers";
import type { Store } from "../store";

interface Props {
  store: Store;
  answers: Answers;
  source: Source;
}

/** What is known, and no more: busy is who has shown a sign of life. */
function sentence(store: Store, source: Source): string {
  const { link, patience, cut, silence, heard } = source;
  if (link.value === "absent") return "No kernel has these maps: run the cell again.";
  if (link.value === "lost") return "The kernel was restarted or shut down: run the cell again.";
  if (link.value === "kept") return `No kernel has these maps; this was kept. ${source.missing}`.trim();
  if (store.empty.value) return "There is no attention to show.";
  // What is missing is said where it is missed.
  if (link.value === "page") return store.isCoarse.value ? source.missing : "";
  if (patience.value === "calm") return "";
  if (cut.value) return "The connection to the kernel is cut; the picture comes when it is back.";
  if (patience.value === "waiting" && heard.value)
    return "The kernel is busy; the picture comes when it is free.";
  const waited = `has answered for ${silence.value} s`;
  if (patience.value === "waiting") return `Nobody ${waited}.`;
  if (heard.value)
    return `The kernel has not answered for ${silence.value} s: it is busy, or it has stopped. Run the cell again if this stays.`;
  return `Nobody ${waited}: there may be no kernel here.`;
}

export function Status({ store, answers, source }: Props) {
  const share = answers.progress();
  const text = sentence(store, source);
  return (
    <div class="status">
      <div
        class="progress"
        data-part="progress"
        role="progressbar"
        aria-label="Loading the grid"
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(share * 100)}
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

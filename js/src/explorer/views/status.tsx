/** One quiet line: how far loading is, and what the kernel is doing when nothing comes. */

import type { Source } from "../../host/source";
import type { Answers } from "../answers";
import type { Store } from "../store";

interface Props {
  store: Store;
  answers: Answers;
  source: Source;
}

function sentence(store: Store, source: Source): string {
  const { link, patience, cut } = source;
  if (link.value === "absent") return "No kernel has these maps: run the cell again.";
  if (link.value === "lost") return "The kernel was restarted or shut down: run the cell again.";
  if (store.empty.value) return "There is no attention to show.";
  if (patience.value === "calm") return "";
  if (cut.value) return "The connection to the kernel is cut; the picture comes when it is back.";
  if (patience.value === "waiting") return "The kernel is busy; the picture comes when it is free.";
  return "The kernel is busy; the picture comes when it is free, or it has stopped: run the cell again if this stays.";
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

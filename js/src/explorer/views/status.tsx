/** One quiet line: how far loading is, and what the kernel is doing when nothing comes. */
import type { Loader } from "../../answers/loading";
import type { Requests } from "../../host/requests";
import type { Store } from "../store";

interface Props {
  store: Store;
  loader: Loader;
  requests: Requests;
}

function sentence(store: Store, requests: Requests): string {
  const { link, patience, cut } = requests;
  if (link.value === "absent") return "No kernel has these maps: run the cell again.";
  if (link.value === "lost") return "The kernel was restarted or shut down: run the cell again.";
  if (store.empty.value) return "There is no attention to show.";
  if (patience.value === "calm") return "";
  if (cut.value) return "The connection to the kernel is cut; the picture comes when it is back.";
  if (patience.value === "waiting") return "The kernel is busy; the picture comes when it is free.";
  return "The kernel is busy; the picture comes when it is free, or it has stopped: run the cell again if this stays.";
}

export function Status({ store, loader, requests }: Props) {
  const share = loader.progress();
  const text = sentence(store, requests);
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
        {requests.link.value === "live" && requests.patience.value === "stalled" && (
          <button type="button" class="quiet" data-part="retry" onClick={() => loader.retry()}>
            Try again
          </button>
        )}
      </div>
    </div>
  );
}

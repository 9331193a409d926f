/** The keys for copying, in the views: the weight that is pointed at, or pinned. No page needs a permission for it. */
import type { Store } from "../store";
import { weightShown } from "./weights";

export function followCopying(root: HTMLElement, store: Store): () => void {
  const stop = new AbortController();
  root.addEventListener(
    "copy",
    (event) => {
      const inViews = (event.target as Element).closest(".views") !== null;
      // What somebody has marked is what is meant.
      const marked = String(document.getSelection() ?? "") !== "";
      const weight = inViews && !marked ? weightShown(store) : null;
      if (!weight || !event.clipboardData) return;
      event.clipboardData.setData("text/plain", weight.text);
      event.preventDefault();
      store.said.value = `Copied ${weight.text}`;
    },
    { signal: stop.signal },
  );
  return () => stop.abort();
}

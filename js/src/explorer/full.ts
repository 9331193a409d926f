/** The whole screen for the widget, and back. */
import type { Store } from "./store";

export function followFullScreen(host: HTMLElement, store: Store): () => void {
  const follow = () => {
    // Inside a root of its own the page's element is the host of that root.
    const holder = (host.getRootNode() as Document | ShadowRoot).fullscreenElement;
    store.full.value = holder === host;
  };
  store.toggleFull = () => {
    const done = store.full.peek() ? document.exitFullscreen() : host.requestFullscreen();
    // Some pages forbid it only when it is asked for.
    done.catch(() => (store.said.value = "This page may not use the whole screen."));
  };
  document.addEventListener("fullscreenchange", follow);
  return () => {
    document.removeEventListener("fullscreenchange", follow);
    store.toggleFull = null;
  };
}

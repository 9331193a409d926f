/** The surface of a widget on the page: an element that says how far it is, and a root of its own styles in it. */

/** The element of a view; its state is for tests and for scripts of others. */
export function hostIn(el: HTMLElement, widget: string): HTMLElement {
  const host = document.createElement("div");
  host.dataset.attnwidget = widget;
  host.dataset.state = "loading";
  // Arrow keys and Enter mean something else to the notebook around.
  host.dataset.lmSuppressShortcuts = "true";
  el.append(host);
  return host;
}

/** A clean-up that is done once, whoever asks first: the host calls it, or its signal says so. */
export function ending(signal: AbortSignal | undefined, work: () => void): () => void {
  let ended = false;
  function end(): void {
    if (ended) return;
    ended = true;
    work();
  }
  if (signal?.aborted) end();
  signal?.addEventListener("abort", end, { once: true });
  return end;
}

/** What the views stand in: no style of the page reaches it, and none leaves it. */
export function surfaceOf(host: HTMLElement, styles: string): HTMLElement {
  const root = document.createElement("div");
  root.className = "widget";
  const shadow = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(styles);
  shadow.adoptedStyleSheets = [sheet];
  shadow.append(root);
  return root;
}

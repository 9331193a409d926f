/** Keys stay inside: a click on what cannot hold the focus, or the end of what held it, must not hand them to the page. */

/** Gives the root the focus where a part of it would lose it to nobody. */
export function keepFocus(root: HTMLElement): () => void {
  const stop = new AbortController();
  // What is clicked and cannot hold the focus hands it to the next around it that can.
  root.tabIndex = -1;
  let holder: Element | null = null;
  root.addEventListener("focusin", ({ target }) => (holder = target as Element), { signal: stop.signal });
  const lost = (element: Element) => !root.contains(element) || element.matches(":disabled");
  function hold(): void {
    if (!holder || !lost(holder)) return;
    holder = null;
    const active = (root.getRootNode() as ShadowRoot).activeElement;
    const nobody = document.activeElement === null || document.activeElement === document.body;
    if (root.isConnected && (nobody || (active !== null && lost(active))))
      root.focus({ preventScroll: true });
  }
  const leave = () => {
    // Some browsers say this too of what is just being taken away: a moment later it is seen which it was.
    queueMicrotask(() => {
      hold();
      if ((root.getRootNode() as ShadowRoot).activeElement === null) holder = null;
    });
  };
  root.addEventListener("focusout", leave, { signal: stop.signal });
  const observer = new MutationObserver(hold);
  observer.observe(root, { childList: true, subtree: true, attributes: true, attributeFilter: ["disabled"] });
  return () => {
    stop.abort();
    observer.disconnect();
  };
}

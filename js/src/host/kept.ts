/** What an output keeps of a widget stands beside it, and gives way while it is drawn. */
import { effect, type ReadonlySignal, untracked } from "@preact/signals";
import type { Source } from "./source";

/** So long a choice must have stood, and so far apart, in ms, before what is kept follows it. */
const STOOD = 2_500;
const APART = 6_000;

/** Hides all that is kept under a name, in this document and whenever it comes; the returned function shows it again. */
export function hideKept(name: string): () => void {
  const sheet = new CSSStyleSheet();
  const kept = `[data-attnwidget-kept="${CSS.escape(name)}"]`;
  // JupyterLab's outputs have room of their own around what they hold.
  sheet.replaceSync(`${kept}, .jp-OutputArea-child:has(${kept}) { display: none !important; }`);
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  return () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((one) => one !== sheet);
  };
}

/** Say which kept output belongs to a widget, and hide it while the widget is drawn. */
export function giveWay(
  host: HTMLElement,
  kept: ReadonlySignal<string>,
  isDrawn: ReadonlySignal<boolean>,
): () => void {
  host.dataset.kept = kept.peek();
  return effect(() => (kept.value && isDrawn.value ? hideKept(kept.value) : undefined));
}

/** Tell the kernel when a person has stopped choosing, so that the file shows what was looked at last. */
export function followKept(source: Source, chosen: ReadonlySignal<string>, isDrawn: ReadonlySignal<boolean>) {
  let timer = 0;
  let last = Number.NEGATIVE_INFINITY;
  const stop = effect(() => {
    chosen.value;
    if (!isDrawn.value) return;
    window.clearTimeout(timer);
    const wait = Math.max(STOOD, last + APART - performance.now());
    timer = window.setTimeout(() => {
      last = performance.now();
      if (untracked(() => source.link.value) !== "live") return;
      // Nothing on the screen depends on it: a kernel that cannot keep anything is no fault.
      source.ask("keep", { op: "keep" }, { background: true }).catch(() => {});
    }, wait);
  });
  return () => {
    window.clearTimeout(timer);
    stop();
  };
}

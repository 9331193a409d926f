/** Light or dark, and the colours in force, followed while they change. */
import { effect, type Signal, signal } from "@preact/signals";
import type { Palette, Rgb } from "../attention/colour";

export type Theme = "auto" | "light" | "dark";

export interface Colours extends Palette {
  text: string;
  muted: string;
  faint: string;
  accentText: string;
  line: string;
  hatch: string;
  fault: string;
  font: string;
  /** Whether they are for a print, which shows what is out of sight too. */
  paper: boolean;
}

/** Whether the page says it is dark: each host has its own way, and the system has the last word. */
export function pageIsDark(): boolean {
  const { documentElement: html, body } = document;
  const jupyter = body.dataset.jpThemeLight ?? html.dataset.jpThemeLight;
  if (jupyter !== undefined) return jupyter === "false";
  if (body.classList.contains("vscode-dark") || body.classList.contains("vscode-high-contrast")) return true;
  if (body.classList.contains("vscode-light")) return false;
  const named = html.getAttribute("theme") ?? html.dataset.theme ?? body.dataset.theme;
  if (named === "dark" || named === "light") return named === "dark";
  if (html.classList.contains("dark") || body.classList.contains("dark")) return true;
  return window.matchMedia("(prefers-color-scheme: dark)").matches;
}

/** Any CSS colour as numbers: the browser itself is the parser. */
function toRgb(colour: string): Rgb {
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true })!;
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  const [red = 0, green = 0, blue = 0] = context.getImageData(0, 0, 1, 1).data;
  return [red, green, blue];
}

/** What is drawn with before the root stands in a page. */
const UNSTYLED: Colours = {
  dark: false,
  surface: [255, 255, 255],
  accent: [0, 0, 0],
  text: "black",
  muted: "black",
  faint: "black",
  accentText: "black",
  line: "black",
  hatch: "black",
  fault: "black",
  font: "sans-serif",
  paper: false,
};

/** The colours in force; null where there are none to read, as outside a page. */
function read(root: HTMLElement, dark: boolean, paper: boolean): Colours | null {
  const style = getComputedStyle(root);
  const value = (name: string) => style.getPropertyValue(name).trim();
  if (!root.isConnected || value("--surface") === "") return null;
  return {
    dark,
    surface: toRgb(value("--surface")),
    accent: toRgb(value("--accent")),
    text: value("--text"),
    muted: value("--muted"),
    faint: value("--faint"),
    accentText: value("--accent"),
    line: value("--line"),
    hatch: value("--hatch"),
    fault: value("--fault"),
    font: style.fontFamily,
    paper,
  };
}

/** Sets data-scheme and data-palette on the root, and gives its colours as a signal. */
export function followTheme(
  root: HTMLElement,
  theme: Signal<Theme>,
): { colours: Signal<Colours>; stop: () => void } {
  const changes = signal(0);
  const printing = signal(false);
  const colours = signal(UNSTYLED);
  const stop = new AbortController();
  const change = () => {
    changes.value++;
  };
  const attributes = {
    attributes: true,
    attributeFilter: ["class", "theme", "data-theme", "data-jp-theme-light", "data-jp-theme-name", "style"],
  };
  const page = new MutationObserver(change);
  page.observe(document.documentElement, attributes);
  page.observe(document.body, attributes);
  // Hosts swap whole style sheets, and the new colours are there only when these have loaded.
  const sheets = new MutationObserver(change);
  sheets.observe(document.head, { childList: true });
  document.head.addEventListener("load", change, { capture: true, signal: stop.signal });
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  system.addEventListener("change", change, { signal: stop.signal });
  const forced = window.matchMedia("(forced-colors: active)");
  forced.addEventListener("change", change, { signal: stop.signal });
  // Hosts take an output out of the page and put it back, and say neither: what was missed meanwhile is read then.
  let missed = false;
  const place = new IntersectionObserver(() => {
    if (missed && root.isConnected) change();
  });
  place.observe(root);

  const paper = window.matchMedia("print");
  const print = (on: boolean) => () => {
    printing.value = on;
  };
  window.addEventListener("beforeprint", print(true), { signal: stop.signal });
  window.addEventListener("afterprint", print(false), { signal: stop.signal });
  paper.addEventListener("change", ({ matches }) => print(matches)(), { signal: stop.signal });

  const stopReading = effect(() => {
    changes.value;
    const paged = pageIsDark();
    // Paper is white, whatever the screen is.
    const chosen = printing.value ? "light" : theme.value;
    // The system's own colours are light or dark whatever was asked for.
    const dark = forced.matches ? system.matches : chosen === "auto" ? paged : chosen === "dark";
    root.dataset.scheme = dark ? "dark" : "light";
    // A theme that was asked for must not be mixed with the colours of a host that has another.
    root.dataset.palette = chosen === "auto" || dark === paged ? "host" : "own";
    const next = read(root, dark, printing.value);
    missed = next === null;
    if (next && JSON.stringify(next) !== JSON.stringify(colours.peek())) colours.value = next;
  });

  return {
    colours,
    stop: () => {
      stopReading();
      stop.abort();
      page.disconnect();
      sheets.disconnect();
      place.disconnect();
    },
  };
}

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

function read(root: HTMLElement, dark: boolean): Colours {
  const style = getComputedStyle(root);
  const value = (name: string) => style.getPropertyValue(name).trim();
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
  };
}

/** Sets data-scheme and data-palette on the root, and gives its colours as a signal. */
export function followTheme(
  root: HTMLElement,
  theme: Signal<Theme>,
): { colours: Signal<Colours>; stop: () => void } {
  const changes = signal(0);
  const colours = signal(read(root, false));
  const change = () => {
    changes.value++;
  };
  const observer = new MutationObserver(change);
  const attributes = {
    attributes: true,
    attributeFilter: ["class", "theme", "data-theme", "data-jp-theme-light", "data-jp-theme-name", "style"],
  };
  observer.observe(document.documentElement, attributes);
  observer.observe(document.body, attributes);
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  system.addEventListener("change", change);
  // Hosts swap whole style sheets, and the new colours are there only when these have loaded.
  const sheets = new MutationObserver(change);
  sheets.observe(document.head, { childList: true });
  document.head.addEventListener("load", change, true);

  const stopReading = effect(() => {
    changes.value;
    const chosen = theme.value;
    const dark = chosen === "auto" ? pageIsDark() : chosen === "dark";
    root.dataset.scheme = dark ? "dark" : "light";
    // A theme that was asked for must not be mixed with the colours of a host that has another.
    root.dataset.palette = chosen === "auto" || dark === pageIsDark() ? "host" : "own";
    const next = read(root, dark);
    if (JSON.stringify(next) !== JSON.stringify(colours.peek())) colours.value = next;
  });

  const stop = () => {
    stopReading();
    observer.disconnect();
    sheets.disconnect();
    system.removeEventListener("change", change);
    document.head.removeEventListener("load", change, true);
  };
  return { colours, stop };
}

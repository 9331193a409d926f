/** How guesses leave a page: as a file, and as a code that fits into a mail. Python's collect() reads both. */
import { copied, downloaded } from "../host/out";
import type { Guess } from "./facts";

interface Answers {
  attnwidget: "guesses";
  student: string;
  guesses: readonly Guess[];
}

const textOf = (student: string, guesses: readonly Guess[]): string =>
  JSON.stringify({ attnwidget: "guesses", student, guesses } satisfies Answers);

/** CRC-32 (IEEE 802.3), as zlib has it. */
function crc32(bytes: Uint8Array): string {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return ((sum ^ 0xffffffff) >>> 0).toString(16).padStart(8, "0");
}

export async function codeOf(student: string, guesses: readonly Guess[]): Promise<string> {
  const stream = new Blob([textOf(student, guesses)])
    .stream()
    .pipeThrough(new CompressionStream("deflate-raw"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const letters = btoa(String.fromCharCode(...bytes));
  return `aw1.${letters.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")}.${crc32(bytes)}`;
}

const PLACE = "data-attnwidget-answers";
/** Said by a widget of a page whenever its guesses change. */
export const GUESSED = "attnwidget-guessed";

export interface Guessed {
  /** Which of the page's widgets. */
  place: string;
  guesses: readonly Guess[];
}

/** What stands at the end of a page with questions: a name, and the ways out. The first widget that comes makes it. */
export function offerAnswers(page: Document): void {
  if (page.querySelector(`[${PLACE}]`)) return;
  const place = page.createElement("section");
  place.setAttribute(PLACE, "");
  place.setAttribute("aria-label", "Your answers");
  page.body.append(place);
  const held = new Map<string, readonly Guess[]>();
  const said = page.createElement("p");
  said.setAttribute("role", "status");
  const count = page.createElement("p");
  const name = page.createElement("input");
  name.type = "text";
  name.autocomplete = "name";
  name.setAttribute("aria-label", "Your name");
  name.placeholder = "Your name";
  const button = (text: string, act: () => Promise<void>) => {
    const one = page.createElement("button");
    one.type = "button";
    one.textContent = text;
    one.addEventListener("click", () => void act());
    return one;
  };
  const all = () => [...held.values()].flat();
  const file = button("Save my answers", async () => {
    const blob = new Blob([textOf(name.value.trim(), all())], { type: "application/json" });
    const named = name.value.trim().replace(/[^\p{L}\p{N}]+/gu, "-") || "answers";
    const out = downloaded(blob, `${named}.json`);
    said.textContent = {
      yes: "Saved as a file.",
      perhaps: "Saved, if this page may save files. If none came, copy the code instead.",
      no: "This page may not save files: copy the code instead.",
    }[out];
  });
  const code = button("Copy my answers as a code", async () => {
    const text = await codeOf(name.value.trim(), all());
    said.textContent = (await copied(text)) ? "Copied: paste it into a mail." : text;
  });
  const heading = page.createElement("h2");
  heading.textContent = "Your answers";
  place.append(heading, count, name, file, code, said);
  const tell = () => {
    const number = all().length;
    count.textContent =
      number === 0
        ? "No question has been answered yet."
        : `${number} answer${number === 1 ? "" : "s"} so far.`;
    for (const one of [file, code]) one.disabled = number === 0;
  };
  page.addEventListener(GUESSED, (event) => {
    const { place: from, guesses } = (event as CustomEvent<Guessed>).detail;
    held.set(from, guesses);
    tell();
  });
  tell();
}

/** A page that is loaded again still has its guesses, where a browser lets it keep anything. */
export const shelf = {
  name: (page: Document, place: string) => `attnwidget ${page.location.pathname} ${place}`,
  read(name: string): readonly Guess[] {
    try {
      const kept: unknown = JSON.parse(localStorage.getItem(name) ?? "[]");
      return Array.isArray(kept) ? kept.filter((one) => one !== null && typeof one === "object") : [];
    } catch {
      return [];
    }
  },
  write(name: string, guesses: readonly Guess[]): void {
    try {
      localStorage.setItem(name, JSON.stringify(guesses));
    } catch {
      // Private windows and frames keep nothing; the page itself still does.
    }
  },
};

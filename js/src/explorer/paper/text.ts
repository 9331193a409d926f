/** The words with their shades on paper, in lines. */
import { css } from "../../attention/colour";
import { fontOf, penOf } from "../../drawing/canvas";
import { type Paragraph, passagesOf, touch } from "../../drawing/flowing";
import type { Mark } from "../../drawing/mark";
import { opaque, type Sheet } from "../../drawing/sheet";
import { elide, quoted, readable } from "../../drawing/words";
import { type Axis, keysOf, type MapFacts } from "../../host/facts";
import type { Colours } from "../../host/theme";
import { rowName } from "../pinned";
import type { Store } from "../store";
import { scaleOf } from "../views/key";
import { isRead, type Role, shadingOf, shownPart } from "../views/text/shading";
import { noteOf } from "../views/text/view";
import { aboutOf, comparedTitle, framed } from "./frame";

const WIDTH = 640;
const WORD = { size: 16 };
const SPECIAL = { size: 13 };
const NAME = { size: 12 };
const LINE = 32;
const PADDING = 4;
const HEIGHT = 26;
/** Between queries and keys. */
const APART = 10;

export function textSheet(store: Store, map: MapFacts): Sheet {
  const colours = opaque(store.colours.value);
  const crossed = map.keys !== null;
  const marks: Mark[] = [];
  let y = 0;
  const block = (heading: string | null, axis: Axis, of: Role, following: string | null | undefined) => {
    if (heading) {
      marks.push({
        kind: "text",
        x: 0,
        y: y + 9,
        text: heading,
        size: 13,
        weight: 600,
        colour: colours.text,
      });
      y += 24;
    }
    const words = new Words(store, colours, axis, of);
    marks.push(...words.placed(y, following ?? null));
    y += words.height + APART;
  };
  if (crossed) block("Queries", map.queries, "query", map.following);
  block(crossed ? "Keys" : null, keysOf(map), crossed ? "key" : "both", crossed ? null : map.following);
  const column = store.traits.reading.value === "column";
  const { largest } = shadingOf(store, column ? "query" : "key");
  return framed(colours, {
    width: WIDTH,
    height: y - APART,
    marks,
    title: comparedTitle(store, map),
    about: [...aboutOf(store, map), ...whose(store, map)],
    scale: largest === null ? null : { ...scaleOf(store, largest), masked: false, undefinedRows: false },
    notes: [noteOf(store, map), ...map.notes].filter(Boolean),
  });
}

/** Whose weights these are. */
function whose(store: Store, map: MapFacts): string[] {
  const { value: column } = store.column;
  if (store.traits.reading.value === "column")
    return column ? [`What looks at key ${column.key} ${quoted(keysOf(map).labels[column.key])}`] : [];
  const row = store.pinned.value;
  if (!row) return [];
  const places = row.queries.length > 1 ? ` ${row.queries.join(", ")}` : "";
  return [`Weights of ${rowName(map, row)}${places}`];
}

/** Words of one axis: placed from the side where the text begins. */
class Words {
  height = LINE;
  readonly #store: Store;
  readonly #colours: Colours;
  readonly #axis: Axis;
  readonly #of: Role;
  readonly #pen = penOf();
  #leftwards = false;
  #x = 0;
  #y = 0;

  constructor(store: Store, colours: Colours, axis: Axis, of: Role) {
    this.#store = store;
    this.#colours = colours;
    this.#axis = axis;
    this.#of = of;
  }

  *placed(top: number, following: string | null): Generator<Mark> {
    const { labels, special, spans = [] } = this.#axis;
    const pin = this.#store.pin.value;
    const { from, to } = shownPart(this.#axis, this.#of === "key" ? pin.key : pin.query);
    const begins = new Map<number, Paragraph>();
    for (const { paragraphs } of passagesOf(this.#axis))
      for (const one of paragraphs) begins.set(one.from, one);
    const space = (index: number) =>
      joined.has(index + 1) || touch(labels[index] ?? "", labels[index + 1] ?? "") ? 0 : spaceWidth;
    const joined = new Set(this.#axis.continues);
    const small = new Set(special);
    const shading = shadingOf(this.#store, this.#of);
    const { muted, text, accentText } = this.#colours;
    this.#y = top;
    const spaceWidth = this.#measured(WORD, " ");
    if (from > 0) yield* this.#plain("…", WORD, muted);
    for (let index = from; index < to; index++) {
      const paragraph = begins.get(index);
      if (paragraph) {
        if (this.#x > 0) this.#newLine();
        this.#leftwards = paragraph.direction === "rtl";
      }
      const opened = spans.filter(([, start]) => start === index);
      for (const [name] of opened) yield* this.#edge(name);
      if (opened.length === 0 && spans.some(([, , stop]) => stop === index)) yield* this.#edge("");
      const font = small.has(index) ? SPECIAL : WORD;
      const [before, after] = [joined.has(index) ? 0 : PADDING, joined.has(index + 1) ? 0 : PADDING];
      const shown = this.#fitted(font, readable(labels[index] ?? ""), WIDTH - before - after);
      const width = this.#measured(font, shown) + before + after;
      // Pieces of a word stay together where a line can hold them.
      const together = joined.has(index) ? width : width + this.#rest(index, to, joined);
      if (this.#x > 0 && this.#x + Math.min(together, WIDTH) > WIDTH) this.#newLine();
      if (this.#x + width > WIDTH) this.#newLine();
      const x = this.#across(width);
      const shade = shading.of(index);
      const radius = before && after ? 3 : 0;
      const area = { x, y: this.#y + (LINE - HEIGHT) / 2, width, height: HEIGHT, radius };
      if (shade) yield { kind: "box", ...area, fill: css(shade.background) };
      if (isRead(this.#store, this.#of, index)) yield { kind: "box", ...area, stroke: accentText, line: 2 };
      const quiet = shading.masked(index) || (small.has(index) && !shade);
      const colour = shade?.ink ?? (quiet ? muted : text);
      const middle = x + (this.#leftwards ? after : before) + (width - before - after) / 2;
      yield {
        kind: "text",
        x: middle,
        y: this.#y + LINE / 2,
        text: shown,
        ...font,
        anchor: "middle",
        colour,
      };
      this.#x += width + space(index);
    }
    if (to < labels.length) yield* this.#plain("…", WORD, muted);
    else if (following) yield* this.#plain(readable(following), { ...WORD, italic: true }, muted);
    this.height = this.#y - top + LINE;
  }

  /** Width of the pieces that go on with a word. */
  #rest(index: number, to: number, joined: ReadonlySet<number>): number {
    let width = 0;
    for (let next = index + 1; next < to && joined.has(next) && width < WIDTH; next++)
      width += this.#measured(WORD, this.#fitted(WORD, readable(this.#axis.labels[next] ?? ""), WIDTH));
    return width;
  }

  /** A thin line where a run begins or ends, and the name of what begins. */
  *#edge(name: string): Generator<Mark> {
    const { faint, muted } = this.#colours;
    const shown = this.#fitted(NAME, name, WIDTH / 2);
    const width = this.#measured(NAME, shown);
    if (this.#x + width + 18 > WIDTH) this.#newLine();
    if (this.#x > 0) {
      const at = this.#across(1) + 0.5;
      const segment = [at, this.#y + 9, at, this.#y + LINE - 9] as const;
      yield { kind: "lines", segments: [segment], colour: faint, line: 1 };
      this.#x += 6;
    }
    if (!name) return;
    const place = { x: this.#across(width) + width / 2, y: this.#y + LINE / 2 };
    yield { kind: "text", ...place, text: shown, ...NAME, anchor: "middle", colour: muted };
    this.#x += width + 6;
  }

  *#plain(text: string, font: { size: number; italic?: boolean }, colour: string): Generator<Mark> {
    const shown = this.#fitted(font, text, WIDTH - 2 * PADDING);
    const width = this.#measured(font, shown) + 2 * PADDING;
    if (this.#x + width > WIDTH) this.#newLine();
    const middle = this.#across(width) + width / 2;
    yield { kind: "text", x: middle, y: this.#y + LINE / 2, text: shown, ...font, anchor: "middle", colour };
    this.#x += width;
  }

  /** Where something of a width begins, seen from the left. */
  #across(width: number): number {
    return this.#leftwards ? WIDTH - this.#x - width : this.#x;
  }

  #newLine(): void {
    this.#x = 0;
    this.#y += LINE;
  }

  #measured(font: { size: number; italic?: boolean }, text: string): number {
    this.#pen.font = fontOf(this.#colours.font, font);
    return this.#pen.measureText(text).width;
  }

  #fitted(font: { size: number; italic?: boolean }, text: string, width: number): string {
    this.#pen.font = fontOf(this.#colours.font, font);
    return elide(this.#pen, text, width);
  }
}

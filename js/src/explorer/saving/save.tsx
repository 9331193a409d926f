/** The one menu for all that leaves: to the clipboard, or as a file. Nothing is in it that cannot be done. */
import { type Signal, useSignal } from "@preact/signals";
import { bytesOf } from "../../attention/tile";
import { type Action, Actions } from "../../controls/actions";
import { pngOf, type Sheet } from "../../drawing/sheet";
import { svgOf } from "../../drawing/svg";
import { quoted } from "../../drawing/words";
import { keysOf, type MapFacts } from "../../host/facts";
import { copied, downloaded } from "../../host/out";
import type { Source } from "../../host/source";
import type { Answers } from "../answers";
import { areRuns } from "../comparing";
import { rowName } from "../pinned";
import { isDifference, type Shown, type Store } from "../store";
import { viewOf } from "../views/table";
import { codeOf } from "./code";
import { csvOf, isPooled, pooledAs } from "./csv";
import { fileName, headParts } from "./names";
import { rowShown, rowText, weightShown } from "./weights";

/** What did not leave by itself. */
export interface Kept {
  sentence: string;
  text?: string;
  image?: string;
}

interface Props {
  store: Store;
  answers: Answers;
  source: Source;
  kept: Signal<Kept | null>;
}

export function Save({ store, answers, source, kept }: Props) {
  const note = useSignal("");
  if (!store.map.value || store.empty.value) return null;
  function groups(): Action[][] {
    const map = store.map.value!;
    const way = new Way(store, kept, note);
    return [
      copies(store, map, way),
      [...files(store, map, answers, way), ...pages(store, map, source, way)],
      looks(store),
    ];
  }
  return <Actions part="save" label="⋯" title="Copy or save what is shown" groups={groups} note={note} />;
}

/** How things leave, with a word about each; what is refused is shown. */
class Way {
  readonly #store: Store;
  readonly #kept: Signal<Kept | null>;

  readonly #note: Signal<string>;

  constructor(store: Store, kept: Signal<Kept | null>, note: Signal<string>) {
    this.#store = store;
    this.#kept = kept;
    this.#note = note;
  }

  say(sentence: string): void {
    this.#store.said.value = sentence;
    this.#note.value = sentence;
  }

  async copy(text: string): Promise<void> {
    this.#kept.value = null;
    if (await copied(text)) this.say("Copied");
    else this.#kept.value = { sentence: "This page may not use the clipboard: copy it from here.", text };
  }

  async download(blob: Blob, name: string): Promise<void> {
    this.#kept.value = null;
    const left = downloaded(blob, name);
    if (left === "yes") {
      this.say(`Saved ${name}`);
      return;
    }
    const picture = blob.type === "image/png";
    const how = picture ? "take the picture from here" : `copy the text from here into ${name}`;
    const sentence =
      left === "no"
        ? `This page may not save files: ${how}.`
        : `If no file came, this page may not save any: ${how}.`;
    this.#kept.value = picture
      ? { sentence, image: await addressOf(blob) }
      : { sentence, text: await blob.text() };
  }

  fail(reason: unknown): void {
    this.#note.value = "";
    this.#kept.value = { sentence: reason instanceof Error ? reason.message : String(reason) };
  }
}

const addressOf = (blob: Blob): Promise<string> =>
  new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result as string);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });

function copies(store: Store, map: MapFacts, way: Way): Action[] {
  const weight = weightShown(store);
  const shown = rowShown(store);
  const actions: Action[] = [];
  if (weight) {
    const names = [map.queries.labels[weight.cell.query!], keysOf(map).labels[weight.cell.key!]];
    const detail = names.map(quoted).join(" → ");
    actions.push({ part: "copy-value", label: "Copy value", detail, run: () => void way.copy(weight.text) });
  }
  if (shown) {
    const { row } = shown;
    const detail = rowName(map, row);
    actions.push({
      part: "copy-row",
      label: "Copy row",
      detail,
      run: () => void way.copy(rowText(store, map, shown)),
    });
  }
  actions.push({
    part: "copy-code",
    label: "Copy code",
    detail: "opens this view",
    run: () => void way.copy(codeOf(store)),
  });
  return actions;
}

/** Map, layer and head, and of a difference what it is less of. */
function partsOf(store: Store, map: MapFacts): string[] {
  const parts = headParts(map, store.layer.value, store.head.value);
  const effect = store.weighing.effect.value;
  if (effect)
    return [`effect on ${effect.target}${effect.versus && ` against ${effect.versus}`}`, ...parts.slice(1)];
  const pair = store.pair.value;
  if (!pair || store.compared.value === "first" || store.compared.value === "second") return parts;
  const { facts, layer, head } = pair.first;
  const word = store.compared.value === "beside" ? "beside" : "minus";
  return [...parts, word, ...(areRuns(pair) ? [pair.first.map] : headParts(facts, layer, head))];
}

/** What the picture of a view is called. */
function pictureParts(store: Store, map: MapFacts): string[] {
  const view = store.view.value;
  if (view === "grid")
    return [store.weighing.effect.value ? "" : map.name, "grid", store.measure.value?.name ?? ""];
  const parts = partsOf(store, map);
  const query = store.reading.value;
  return view === "heatmap" ? parts : [...parts, query === null ? "" : `query ${query}`, view];
}

function files(store: Store, map: MapFacts, answers: Answers, way: Way): Action[] {
  const view = viewOf(store.view.value);
  const drawn = store.drawn.value;
  const there = drawn && store.isCurrent(drawn);
  const picture = (
    part: string,
    label: string,
    ending: string,
    make: (sheet: Sheet) => Promise<Blob>,
  ): Action => ({
    part,
    label,
    detail: "picture",
    run: async () => {
      try {
        const sheet = view.sheet(store, map, answers);
        if (!sheet) throw new Error("There is no picture to save: this view has nothing to draw yet.");
        way.say("The picture is being made");
        await way.download(await make(sheet), fileName(pictureParts(store, map), ending));
      } catch (reason) {
        way.fail(reason);
      }
    },
  });
  const actions: Action[] = [];
  if (there || view.name === "grid") {
    actions.push(picture("save-png", "PNG", "png", pngOf));
    actions.push(
      picture("save-svg", "SVG", "svg", async (sheet) => new Blob([svgOf(sheet)], { type: "image/svg+xml" })),
    );
  }
  const shown = store.picture.value;
  if (there && shown) {
    const { tile } = shown;
    const effect = store.weighing.effect.value;
    const differs = isDifference(shown);
    const what = effect ? "effects in logits" : differs ? "difference" : "";
    const name = fileName([...partsOf(store, map), ...partOf(map, tile)], "csv");
    const run = () => void way.download(new Blob([csvOf(map, shown, effect)], { type: "text/csv" }), name);
    actions.push({
      part: "save-csv",
      label: "CSV",
      detail: [
        what,
        isPooled(tile)
          ? pooledAs(tile)
          : what
            ? ""
            : store.weighing.valued.value
              ? "weights × size of value"
              : "weights",
      ]
        .filter(Boolean)
        .join(", "),
      run,
    });
  }
  return actions;
}

/** Which part of a map a tile is, and what its cells are, where it is not all of it. */
function partOf(map: MapFacts, tile: Shown["tile"]): string[] {
  const span = (name: string, [from, to]: readonly [number, number], count: number) =>
    to - from < count ? `${name} ${from}-${to - 1}` : "";
  return [
    isPooled(tile) ? `${tile.pooling === "mean" ? "mean" : "largest"} of ${tile.stride.join("x")}` : "",
    span("q", tile.rows, map.n_queries),
    span("k", tile.columns, map.n_keys),
  ];
}

/** What is no copy, and is looked for here. */
function looks(store: Store): Action[] {
  const small = (store.map.value?.n_queries ?? 0) > 0 && store.view.value === "heatmap";
  const actions: Action[] = [];
  if (small)
    actions.push({
      part: "show-table",
      label: store.tabled.value ? "Hide the table" : "As a table",
      detail: "numbers to read",
      run: () => (store.tabled.value = !store.tabled.peek()),
    });
  if (document.fullscreenEnabled && store.toggleFull)
    actions.push({
      part: "full-screen",
      label: store.full.value ? "Leave full screen" : "Full screen",
      run: store.toggleFull,
    });
  actions.push({
    part: "show-keys",
    label: "Keys",
    detail: "?",
    run: () => (store.keysShown.value = true),
  });
  return actions;
}

/** Only a kernel can write a page. */
function pages(store: Store, map: MapFacts, source: Source, way: Way): Action[] {
  if (source.link.value !== "live") return [];
  // Hosts hold choices back while the kernel is busy, and then they come behind this question.
  const { map: name, layer, head } = store.places.value.chosen!;
  const place = { map: name, layer, head, query: store.pin.value.query };
  async function run(): Promise<void> {
    way.say("The page is being written");
    try {
      const name = fileName(headParts(map, place.layer, place.head), "html");
      const { buffers } = await source.ask("page", { op: "page", ...place }, { background: true });
      const bytes = new Uint8Array(bytesOf(buffers[0]!));
      await way.download(new Blob([bytes], { type: "text/html" }), name);
    } catch (reason) {
      way.fail(reason);
    }
  }
  return [{ part: "save-page", label: "Page (HTML)", detail: "works without a kernel", run }];
}

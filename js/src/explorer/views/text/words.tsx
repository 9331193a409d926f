/** The words of one axis as a text: what is near to be seen is laid out, the rest keeps its room. */
import { effect, type Signal, signal, useComputed } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { type Passage as Part, passagesOf } from "../../../drawing/flowing";
import { bracketed } from "../../../drawing/naming";
import { quoted } from "../../../drawing/words";
import type { Axis } from "../../../host/facts";
import type { Store } from "../../store";
import { Passage } from "./passage";
import { isRead, type Role } from "./shading";

interface Props {
  store: Store;
  axis: Axis;
  of: Role;
  following?: string | null | undefined;
}

/** CSS pixels beyond the edges of what is seen in which words are laid out. */
const NEAR = 900;
/** Of a passage that was never laid out: pixels a letter and a line, of lines so wide. */
const [LETTER, LINE, MEASURE] = [8.6, 30, 600];

const guessed = ({ labels }: Axis, { from, to, paragraphs }: Part): number => {
  const letters = labels.slice(from, to).reduce((sum, label) => sum + label.length + 1, 0);
  return Math.ceil((letters * LETTER) / MEASURE + paragraphs.length * 0.5) * LINE;
};

export function Words({ store, axis, of, following }: Props) {
  const frame = useRef<HTMLDivElement>(null);
  const parts = passagesOf(axis);
  const seen = useMemo(() => new Map(parts.map((part) => [part.from, signal(false)])), [parts]);
  /** Where a walk by arrows is; null before there was one. */
  const walked = useMemo(() => signal<number | null>(null), [axis]);
  const entry = useComputed(() => walked.value ?? firstRead(store, of) ?? 0);
  const long = parts.length > 1;

  useEffect(() => {
    const near = new IntersectionObserver(
      (entries) => {
        for (const { target, isIntersecting } of entries)
          seen.get(Number((target as HTMLElement).dataset.from))!.value = isIntersecting;
      },
      { root: long ? frame.current : null, rootMargin: `${NEAR}px` },
    );
    for (const part of frame.current!.querySelectorAll(".part")) near.observe(part);
    return () => near.disconnect();
  }, [parts, seen, long]);

  const find = (index: number) => frame.current?.querySelector<HTMLElement>(`[data-index="${index}"]`);

  // What is pointed at elsewhere is lit here.
  useEffect(() => {
    let lit: HTMLElement | null | undefined;
    return effect(() => {
      const hover = store.hover.value;
      const index = of === "query" ? hover?.query : of === "key" ? hover?.key : hoveredOf(store);
      lit?.removeAttribute("data-lit");
      lit = typeof index === "number" ? find(index) : null;
      lit?.setAttribute("data-lit", "true");
    });
  }, [store, axis, of]);

  // A word that was pinned elsewhere is brought into sight, by moving the words and never the page.
  useEffect(
    () =>
      effect(() => {
        const index = firstRead(store, of);
        if (index === null || !long) return;
        requestAnimationFrame(() => {
          const [word, box] = [find(index), frame.current];
          if (!word || !box) return;
          const [inner, outer] = [word.getBoundingClientRect(), box.getBoundingClientRect()];
          if (inner.top < outer.top || inner.bottom > outer.bottom)
            box.scrollTop += inner.top - outer.top - outer.height / 3;
        });
      }),
    [store, of, long],
  );

  const indexOf = (event: Event): number | null => {
    const word = (event.target as Element).closest<HTMLElement>("[data-index]");
    return word ? Number(word.dataset.index) : null;
  };

  function press(event: KeyboardEvent): void {
    const index = indexOf(event);
    if (index === null || event.altKey) return;
    const word = event.target as HTMLElement;
    const right = word.closest<HTMLElement>("[dir]")?.dir === "rtl" ? -1 : 1;
    const step = { ArrowLeft: -right, ArrowUp: -1, ArrowRight: right, ArrowDown: 1 }[event.key];
    if (step !== undefined) {
      const next = find(index + step);
      if (next) walked.value = index + step;
      next?.focus();
    } else if (event.key === "Enter" || event.key === " ") choose(store, of, index, adds(event));
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  function light(event: Event): void {
    const index = indexOf(event);
    if (index === null) return;
    const word = find(index)!;
    const said = word.dataset.weight ? ` ${store.weighing.said(Number(word.dataset.weight))}` : "";
    word.title = `${quoted(axis.labels[index])}${bracketed(axis, index)}${said}`;
    store.hover.value = hoverOf(store, of, index);
  }

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the words in it are buttons, and what they do is heard here once for all
    <div
      class="words"
      data-long={long}
      ref={frame}
      onMouseDown={(event) => event.shiftKey && event.preventDefault()}
      onClick={(event) => {
        const index = indexOf(event);
        if (index === null) return;
        walked.value = index;
        choose(store, of, index, adds(event));
      }}
      onKeyDown={press}
      onPointerOver={light}
      onFocusIn={light}
    >
      {parts.map((part) => (
        <Room key={part.from} {...{ store, axis, of, part, entry, following }} seen={seen.get(part.from)!} />
      ))}
    </div>
  );
}

interface RoomProps extends Props {
  part: Part;
  entry: Signal<number> | ReturnType<typeof useComputed<number>>;
  seen: Signal<boolean>;
}

/** A passage, or as much room as it takes. */
function Room({ seen, part, ...props }: RoomProps) {
  const here = useRef<HTMLDivElement>(null);
  const height = useRef(0);
  const { entry } = props;
  // The words that the Tab key and a pin lead to are always there.
  const shown = useComputed(
    () =>
      seen.value ||
      (entry.value >= part.from && entry.value < part.to) ||
      holds(part, firstRead(props.store, props.of)),
  );
  useEffect(() => {
    if (shown.value && here.current) height.current = here.current.offsetHeight;
  });
  const room = shown.value ? {} : { blockSize: `${height.current || guessed(props.axis, part)}px` };
  return (
    <div class="part" data-from={part.from} ref={here} style={room}>
      {shown.value && <Passage {...props} part={part} />}
    </div>
  );
}

const holds = ({ from, to }: Part, index: number | null): boolean =>
  index !== null && index >= from && index < to;

const adds = (event: MouseEvent | KeyboardEvent): boolean => event.shiftKey || event.ctrlKey || event.metaKey;

const inColumn = (store: Store): boolean => store.traits.reading.value === "column";

/** The first of the words that are read; null where none is. */
function firstRead(store: Store, of: Role): number | null {
  const { query, key } = store.pin.value;
  if (of === "key") return key;
  if (of === "both" && inColumn(store)) return store.lookedAt.value;
  return inColumn(store) ? query : store.reading.value;
}

/** In one text a word is what is looked at, and where that is what is read, what looks. */
function hoveredOf(store: Store): number | null | undefined {
  const hover = store.hover.value;
  return inColumn(store) ? (hover?.query ?? hover?.key) : (hover?.key ?? hover?.query);
}

function hoverOf(store: Store, of: Role, index: number) {
  const column = inColumn(store);
  const asQuery = of === "query" || (of === "both" && column);
  if (asQuery) return { query: index, key: column ? store.lookedAt.peek() : null, from: "text" };
  return { query: column ? null : store.reading.peek(), key: index, from: "text" };
}

/** Pin a word, as what looks or what is looked at; `more` beside those that are pinned. */
function choose(store: Store, of: Role, index: number, more: boolean): void {
  const { query, key } = store.pin.peek();
  const column = store.traits.reading.peek() === "column";
  if (column && of !== "query") {
    const unpins = of === "both" && isRead(store, of, index);
    store.setPin(unpins || key === index ? { query: null, key: null } : { query: null, key: index });
  } else if (of === "query" && column) store.togglePin({ query: index, key });
  else if (of !== "key") {
    if (more) store.toggleAlso(index);
    else store.togglePin({ query: index, key: null });
  } else if (store.reading.peek() !== null)
    store.togglePin({ query: query ?? store.reading.peek(), key: index });
}

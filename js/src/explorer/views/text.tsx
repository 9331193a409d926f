/** The text itself: each word shaded by what the pinned query gives to it. */
import { Fragment } from "preact";
import { colourOf, css, inkOn } from "../../attention/colour";
import { bracketed } from "../../drawing/naming";
import { directionOf, exact, quoted, readable } from "../../drawing/words";
import { type Axis, keysOf, type MapFacts } from "../../host/facts";
import type { Store } from "../store";
import { Title } from "./map";

/** Longer texts are shown around the pinned word: tens of thousands of elements would stop the page. */
const LONGEST = 4096;

export function TextView({ store }: { store: Store }) {
  const map = store.map.value;
  if (!map) return null;
  return (
    <section class="map">
      <header>
        <Title store={store} />
      </header>
      <Text store={store} map={map} />
    </section>
  );
}

function Text({ store, map }: { store: Store; map: MapFacts }) {
  const crossed = map.keys !== null;
  return (
    <div class="text" data-part="text" onPointerLeave={() => (store.hover.value = null)}>
      {crossed && <h3>Queries</h3>}
      {crossed && <Words store={store} axis={map.queries} of="query" following={map.following} />}
      {crossed && <h3>Keys</h3>}
      <Words
        store={store}
        axis={keysOf(map)}
        of={crossed ? "key" : "both"}
        following={crossed ? null : map.following}
      />
    </div>
  );
}

interface WordsProps {
  store: Store;
  axis: Axis;
  of: "query" | "key" | "both";
  /** The token that was generated last, and has no row. */
  following?: string | null | undefined;
}

export function Words({ store, axis, of, following }: WordsProps) {
  const row = of === "query" ? null : store.pinned.value;
  const pin = store.pin.value;
  const hover = store.hover.value;
  const ramp = store.ramp.value;
  const scale = store.traits.color_scale.value;
  const shared = store.traits.color_range.value === "shared";
  const largest = row && !shared ? row.after.reduce((a, b) => Math.max(a, b), 1e-12) : 1;
  const special = new Set(axis.special);
  const direction = directionOf(axis.labels.filter((_, index) => !special.has(index)));
  const joined = new Set(axis.continues);
  const middle = (of === "key" ? pin.key : pin.query) ?? 0;
  const from = Math.max(0, Math.min(middle - LONGEST / 2, axis.labels.length - LONGEST));
  const shown = axis.labels.slice(from, from + LONGEST);

  function word(label: string, index: number) {
    const weight = row?.masked(index) === false ? row.after[index]! : null;
    const background = weight === null ? null : colourOf(ramp, weight, largest, scale);
    const style = background ? { background: css(background), color: inkOn(background) } : {};
    const lit = of === "query" ? hover?.query === index : hover?.key === index;
    const chosen = of === "key" ? pin.key === index : store.reading.value === index;
    const spans = axis.spans ?? [];
    const opened = spans.filter(([, start]) => start === index);
    const closed = opened.length === 0 && spans.some(([, , stop]) => stop === index);
    return (
      <Fragment key={index}>
        {opened.map(([name]) => (
          <small class="span" data-part="span" key={name}>
            {name}
          </small>
        ))}
        {closed && <small class="span" />}
        <span
          class="word"
          role="button"
          tabIndex={chosen || (store.reading.value === null && index === 0) ? 0 : -1}
          data-index={index}
          data-weight={weight ?? ""}
          data-lit={lit}
          data-pinned={chosen}
          data-special={special.has(index)}
          data-joined={joined.has(index)}
          data-masked={row?.masked(index) ?? false}
          style={style}
          title={weight === null ? "" : `${quoted(label)}${bracketed(axis, index)} ${exact(weight)}`}
        >
          <bdi>{readable(label)}</bdi>
        </span>
        {!joined.has(index + 1) && " "}
        {label.includes("\n") && <br />}
      </Fragment>
    );
  }

  const indexOf = (event: Event): number | null => {
    const word = (event.target as Element).closest<HTMLElement>("[data-index]");
    return word ? Number(word.dataset.index) : null;
  };

  function choose(index: number): void {
    if (of !== "key") store.togglePin({ query: index, key: null });
    else if (store.reading.value !== null) store.togglePin({ query: store.reading.value, key: index });
  }

  function press(event: KeyboardEvent): void {
    const index = indexOf(event);
    if (index === null || event.ctrlKey || event.metaKey || event.altKey) return;
    const right = direction === "rtl" ? -1 : 1;
    const step = { ArrowLeft: -right, ArrowUp: -1, ArrowRight: right, ArrowDown: 1 }[event.key];
    if (step !== undefined) {
      const words = (event.currentTarget as HTMLElement).querySelector<HTMLElement>(
        `[data-index="${index + step}"]`,
      );
      words?.focus();
    } else if (event.key === "Enter" || event.key === " ") choose(index);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  function light(event: Event): void {
    const index = indexOf(event);
    if (index === null) return;
    store.hover.value =
      of === "query"
        ? { query: index, key: null, from: "text" }
        : { query: store.reading.value, key: index, from: "text" };
  }

  return (
    <p
      class="words"
      dir={direction}
      onClick={(event) => {
        const index = indexOf(event);
        if (index !== null) choose(index);
      }}
      onKeyDown={press}
      onPointerOver={light}
      onFocusIn={light}
    >
      {from > 0 && "… "}
      {shown.map((label, at) => word(label, from + at))}
      {from + LONGEST < axis.labels.length && "…"}
      {following && from + LONGEST >= axis.labels.length && (
        <span class="following" title="Generated last and never a query: it has no row">
          <bdi>{readable(following)}</bdi>
        </span>
      )}
    </p>
  );
}

/** The text itself: each word shaded by what the pinned query gives to it. */
import { Fragment } from "preact";
import { css } from "../../attention/colour";
import { bracketed } from "../../drawing/naming";
import { exact, quoted, readable } from "../../drawing/words";
import { type Axis, keysOf, type MapFacts } from "../../host/facts";
import type { Store } from "../store";
import { Path } from "./path";
import { directionOfAxis, shadingOf, shownPart } from "./shading";

export function TextView({ store }: { store: Store }) {
  const map = store.map.value;
  if (!map) return null;
  return (
    <section class="map">
      <header>
        <Path store={store} />
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
  const shading = shadingOf(store, of);
  const pin = store.pin.value;
  const hover = store.hover.value;
  const special = new Set(axis.special);
  const direction = directionOfAxis(axis);
  const joined = new Set(axis.continues);
  const { from, to } = shownPart(axis, of === "key" ? pin.key : pin.query);
  const shown = axis.labels.slice(from, to);

  function word(label: string, index: number) {
    const shade = shading.of(index);
    const weight = shade?.weight ?? null;
    const style = shade ? { background: css(shade.background), color: shade.ink } : {};
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
          data-masked={shading.masked(index)}
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
      {to < axis.labels.length && "…"}
      {following && to === axis.labels.length && (
        <span class="following" title="Generated last and never a query: it has no row">
          <bdi>{readable(following)}</bdi>
        </span>
      )}
    </p>
  );
}

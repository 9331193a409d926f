/** Some paragraphs of a text. Its words are made once; shades and marks are put on them as they change. */
import { effect, type ReadonlySignal } from "@preact/signals";
import { Fragment } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { css } from "../../../attention/colour";
import { type Paragraph, type Passage as Part, touch } from "../../../drawing/flowing";
import { readable } from "../../../drawing/words";
import type { Axis } from "../../../host/facts";
import type { Store } from "../../store";
import { isRead, type Role, shadingOf } from "./shading";

interface Props {
  store: Store;
  axis: Axis;
  of: Role;
  part: Part;
  /** The word that the Tab key comes to. */
  entry: ReadonlySignal<number>;
  /** The token that was generated last, and has no row; after the last word. */
  following?: string | null | undefined;
}

export function Passage({ store, axis, of, part, entry, following }: Props) {
  const here = useRef<HTMLDivElement>(null);

  useLayoutEffect(
    () =>
      effect(() => {
        const shading = shadingOf(store, of);
        const first = entry.value;
        for (const word of here.current!.querySelectorAll<HTMLElement>(".word")) {
          const index = Number(word.dataset.index);
          const shade = shading.of(index);
          const chosen = isRead(store, of, index);
          word.dataset.weight = String(shade?.weight ?? "");
          word.dataset.pinned = String(chosen);
          word.dataset.masked = String(shading.masked(index));
          word.setAttribute("aria-pressed", String(chosen));
          word.tabIndex = index === first ? 0 : -1;
          word.style.background = shade ? css(shade.background) : "";
          word.style.color = shade ? shade.ink : "";
        }
      }),
    [store, axis, of, part, entry],
  );

  return (
    <div class="passage" ref={here}>
      {part.paragraphs.map((paragraph) => (
        <p key={paragraph.from} dir={paragraph.direction} data-ends={paragraph.ends}>
          <Line axis={axis} paragraph={paragraph} />
          {following && paragraph.to === axis.labels.length && (
            <span class="following" title="Generated last and never a query: it has no row">
              <bdi>{readable(following)}</bdi>
            </span>
          )}
        </p>
      ))}
    </div>
  );
}

const sets = new WeakMap<readonly number[], ReadonlySet<number>>();

/** A list of positions as a set, made once. */
function setOf(list: readonly number[]): ReadonlySet<number> {
  const made = sets.get(list) ?? new Set(list);
  sets.set(list, made);
  return made;
}

function Line({ axis, paragraph }: { axis: Axis; paragraph: Paragraph }) {
  const { labels, spans = [] } = axis;
  const [special, joined] = [setOf(axis.special), setOf(axis.continues)];
  const edges = spans.filter(([, from, to]) => to >= paragraph.from && from < paragraph.to);
  const words = labels.slice(paragraph.from, paragraph.to).map((label, at) => {
    const index = paragraph.from + at;
    const opened = edges.filter(([, start]) => start === index);
    const closed = opened.length === 0 && edges.some(([, , stop]) => stop === index);
    const next = index + 1 < paragraph.to ? labels[index + 1]! : null;
    const close = next !== null && touch(label, next);
    const text = readable(label);
    return (
      <Fragment key={index}>
        {opened.map(([name]) => (
          <small class="span" data-part="span" key={name}>
            <bdi>{name}</bdi>
          </small>
        ))}
        {closed && <small class="span" />}
        <span
          class="word"
          role="button"
          tabIndex={-1}
          data-index={index}
          data-special={special.has(index)}
          data-joined={joined.has(index)}
          data-close={close || (at > 0 && touch(labels[index - 1]!, label))}
        >
          {text}
        </span>
        {next !== null && !joined.has(index + 1) && !close && " "}
      </Fragment>
    );
  });
  return <>{words}</>;
}

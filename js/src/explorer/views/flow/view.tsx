/** From one token its strongest paths back through the layers, and the share that these carry. */
import { useComputed, useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { paths as pathsOf } from "../../../answers/paths";
import type { Question } from "../../../answers/question";
import { Fault } from "../../../controls/fault";
import { Menu } from "../../../controls/menu";
import { Slider } from "../../../controls/slider";
import { penOf, prepare, useDrawing, useWidth } from "../../../drawing/canvas";
import { paint } from "../../../drawing/paint";
import { exact, quoted, short } from "../../../drawing/words";
import { headNumber, isSelfAttention, layerNumber, type MapFacts } from "../../../host/facts";
import type { Answers } from "../../answers";
import type { Store } from "../../store";
import { Path } from "../path";
import {
  edgeMarks,
  levelName,
  nameMarks,
  nearest,
  nodeMarks,
  type Stage,
  stageOf,
  xOf,
  yOf,
} from "./diagram";
import { carriers, type Edge, type Flow, flowOf, leadingThrough, type Node } from "./flow";

/** Beyond it few maps have an edge. */
const HIGHEST = 0.5;

interface Props {
  store: Store;
  answers: Answers;
}

/** What a layer gives out for a token must be what the next one takes in. */
export const suits = (map: MapFacts): boolean => isSelfAttention(map) && !map.derived && map.heads.length > 1;

/** The token that is followed: the pinned one, or the last. */
export const followed = (store: Store, map: MapFacts): number => store.pin.value.query ?? map.n_queries - 1;

const asked = (store: Store, map: MapFacts) =>
  pathsOf(map.name, followed(store, map), store.traits.flow_heads.value);

export function* needs(store: Store, map: MapFacts): Generator<Question<unknown>> {
  yield asked(store, map);
}

/** What is drawn now; null before it has come. */
export function flowShown(store: Store, map: MapFacts, answers: Answers): Flow | null {
  const known = answers.known.get(asked(store, map));
  const threshold = store.traits.flow_threshold.value;
  return known ? flowOf(known, followed(store, map), map.heads.length, threshold) : null;
}

export function FlowView({ store, answers }: Props) {
  const ruler = useRef<HTMLDivElement>(null);
  const room = useWidth(ruler, store.room);
  const map = store.map.value;
  const flow = useComputed(() => {
    const map = store.map.value;
    return map && suits(map) ? flowShown(store, map, answers) : null;
  });
  if (!map || !suits(map)) return null;
  const question = asked(store, map);
  const fault = answers.known.fault(question);
  const known = answers.known.get(question);
  const { flow_threshold: threshold, flow_heads: heads } = store.traits;
  const free = (name: string) => !store.lesson.isLocked(name);
  const least = Math.log10(known?.threshold || 0.002);
  return (
    <section class="map flow" data-part="flow">
      <div class="ruler" ref={ruler} />
      <header>
        <Path store={store} />
        <div class="measuring">
          {free("flow_heads") && (
            <Menu
              label="Edges"
              part="flow-heads"
              value={heads.value}
              options={[
                ["mean", "all heads together"],
                ["each", "each head"],
              ]}
              title="Whether a line is what all heads carry together, or what single heads do"
              onChange={(value) => (heads.value = value)}
            />
          )}
          {free("flow_threshold") && (
            <Slider
              label="At least"
              part="flow-threshold"
              value={Math.log10(Math.max(threshold.value, 1e-9))}
              text={short(threshold.value)}
              min={least}
              max={Math.log10(HIGHEST)}
              step={0.01}
              onInput={(value) => (threshold.value = Number((10 ** value).toPrecision(2)))}
            />
          )}
        </div>
      </header>
      {fault !== null ? (
        <Fault sentence={fault} onRetry={() => answers.retry()} />
      ) : (
        <p class="hint" data-part="flow-carried" data-carried={flow.value?.carried ?? ""}>
          {flow.value
            ? sentence(store, map, flow.value)
            : `Following ${named(map, followed(store, map))} back …`}
        </p>
      )}
      {flow.value && room.value > 0 && <Diagram {...{ store, map }} flow={flow.value} room={room.value} />}
      <footer>
        <p class="notes">{flow.value && notes(store, map, flow.value).join(" ")}</p>
      </footer>
    </section>
  );
}

const named = (map: MapFacts, token: number): string => `${quoted(map.queries.labels[token])} at ${token}`;

/** Whose flow it is, what its paths carry, and where most of it comes from. */
export function sentence(store: Store, map: MapFacts, flow: Flow): string {
  const unpinned =
    store.pin.value.query === null ? "Nothing is pinned, so this is the last token, " : "From ";
  const from = `${unpinned}${named(map, flow.query)}, back through ${map.heads.length} layers.`;
  if (Number.isNaN(flow.carried)) {
    const lowest = Math.min(...flow.nodes.map(({ level }) => level));
    return `${from} A row of layer ${layerNumber(map, Math.max(0, lowest - 1))} that it comes to holds NaN: nothing is known below it.`;
  }
  return `${from} The drawn paths carry ${exact(flow.carried)} of what reaches the input.`;
}

/** The tokens of the input that are drawn, those first of which there is most in it. */
function sources(map: MapFacts, flow: Flow, most = 4): string {
  return flow.nodes
    .filter(({ level, share }) => level === 0 && share > 0)
    .sort((one, other) => other.share - one.share)
    .slice(0, most)
    .map(({ token, share }) => `${quoted(map.queries.labels[token])} ${share.toFixed(2)}`)
    .join(", ");
}

export function notes(store: Store, map: MapFacts, flow: Flow): string[] {
  const each = store.traits.flow_heads.value === "each";
  const most = sources(map, flow);
  return [
    most && `Most of it at the input: ${most}.`,
    `Lines are as wide, and dots as large, as the share that goes through them: half the residual path, half the mean of the heads${each ? ", each head an edge of its own" : ""}, times the rollout down to there.`,
    flow.edges.some(({ whole }) => !whole) ? "Pale lines are on no path that is drawn whole." : "",
    flow.leftOut > 0 ? `${flow.leftOut.toLocaleString("en")} lighter edges were left out.` : "",
    store.temperature.value !== 1 || store.scaling.value !== 1
      ? "As the model has them: at temperature 1 and its own scaling."
      : "",
    ...map.notes,
  ].filter((note): note is string => Boolean(note));
}

/** That not all tokens have columns. */
export const columnsLeft = (map: MapFacts, { tokens }: Stage): string =>
  tokens.length < map.n_keys
    ? `Of ${map.n_keys.toLocaleString("en")} tokens the ${tokens.length} that it goes through have columns.`
    : "";

interface DiagramProps {
  store: Store;
  map: MapFacts;
  flow: Flow;
  room: number;
}

function Diagram({ store, map, flow, room }: DiagramProps) {
  const below = useRef<HTMLCanvasElement>(null);
  const above = useRef<HTMLCanvasElement>(null);
  const pen = useRef<CanvasRenderingContext2D>(null);
  pen.current ??= penOf();
  const at = useSignal<Node | Edge | null>(null);
  const newest = useSignal({ map, flow, room });
  const last = newest.peek();
  if (last.flow !== flow || last.room !== room || last.map !== map) {
    newest.value = { map, flow, room };
    at.value = null;
  }
  const stage = useComputed(() => {
    const { map, flow, room } = newest.value;
    return stageOf(pen.current!, store.colours.value, map, flow, room, store.tallest.value);
  });

  useDrawing(() => {
    const { map, flow } = newest.value;
    const colours = store.colours.value;
    const { width, height } = stage.value;
    const context = prepare(below.current!, width, height);
    const words = { colours, layer: store.layer.value, lit: null };
    paint(context, colours.font, nameMarks(pen.current!, stage.value, map, flow, words));
    paint(context, colours.font, edgeMarks(stage.value, flow.edges, colours.accentText));
    paint(context, colours.font, nodeMarks(stage.value, flow.nodes, colours.text));
  });

  useDrawing(() => {
    const { map, flow } = newest.value;
    const colours = store.colours.value;
    const { width, height } = stage.value;
    const context = prepare(above.current!, width, height);
    const hover = store.hover.value;
    const lit = at.value;
    const outside = hover?.from === "flow" ? null : (hover?.key ?? hover?.query ?? null);
    if (outside !== null && stage.value.columns.has(outside))
      column(context, stage.value, outside, colours.text);
    if (!lit) return;
    const words = { colours, layer: store.layer.value, lit: "token" in lit ? lit.token : lit.to };
    paint(context, colours.font, nameMarks(pen.current!, stage.value, map, flow, words));
    const edges = leadingThrough(flow, lit);
    const ends = new Set(edges.flatMap(({ layer, from, to }) => [`${layer + 1}/${from}`, `${layer}/${to}`]));
    const nodes = flow.nodes.filter((node) => node === lit || ends.has(`${node.level}/${node.token}`));
    paint(context, colours.font, edgeMarks(stage.value, edges, colours.accentText));
    paint(context, colours.font, nodeMarks(stage.value, nodes, colours.text));
  });

  function light(found: Node | Edge | null): void {
    at.value = found;
    store.hover.value = found && {
      query: null,
      key: "token" in found ? found.token : found.to,
      from: "flow",
    };
  }

  function under(event: MouseEvent): Node | Edge | null {
    const box = below.current!.getBoundingClientRect();
    return nearest(stage.peek(), flow, event.clientX - box.left, event.clientY - box.top);
  }

  function pick(found: Node | Edge | null): void {
    if (!found || !("token" in found)) return;
    store.setPin({ query: found.token, key: null });
    store.said.value = `Following ${named(map, found.token)}`;
  }

  function press(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const from = at.peek();
    const moves: Record<string, [up: number, right: number]> = {
      ArrowUp: [1, 0],
      ArrowDown: [-1, 0],
      ArrowLeft: [0, -1],
      ArrowRight: [0, 1],
    };
    const move = moves[event.key];
    if (move) {
      const to = stepped(flow, from && "token" in from ? from : null, move);
      light(to);
      if (to) store.said.value = spokenOf(map, flow, to);
    } else if ((event.key === "Enter" || event.key === " ") && from) pick(from);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  const pointed = at.value;
  return (
    <div class="diagram" data-lit={pointed !== null}>
      <canvas
        ref={below}
        data-part="flow-diagram"
        data-query={flow.query}
        data-edges={flow.edges.length}
        data-columns={stage.value.tokens.length}
        data-plot={Object.values(stage.value.plot).join()}
        tabIndex={0}
        role="application"
        aria-roledescription="flow diagram"
        aria-label={`${sentence(store, map, flow)} Most of it at the input: ${sources(map, flow)}. Arrow keys move, Enter follows a token, Escape unpins.`}
        onPointerMove={(event) => light(under(event))}
        onPointerLeave={() => light(null)}
        onBlur={() => light(null)}
        onClick={(event) => pick(under(event))}
        onKeyDown={press}
      />
      <canvas ref={above} class="marks" role="presentation" />
      {pointed && <Tip {...{ store, map, flow, pointed }} stage={stage.value} />}
      <p class="notes">{columnsLeft(map, stage.value)}</p>
    </div>
  );
}

function column(context: CanvasRenderingContext2D, stage: Stage, token: number, colour: string): void {
  const wide = stage.plot.width / stage.tokens.length;
  const { y, height } = stage.plot;
  paint(context, "", [
    { kind: "box", x: xOf(stage, token) - wide / 2, y, width: wide, height, fill: colour, opacity: 0.08 },
  ]);
}

/** The next dot in a direction: in its own layer, or the nearest of the next. */
function stepped(flow: Flow, from: Node | null, [up, right]: [number, number]): Node | null {
  if (!from) return flow.nodes[0] ?? null;
  const of = flow.nodes.filter(({ level }) => level === from.level + up);
  const side = of.filter(({ token }) => right === 0 || (token - from.token) * right > 0);
  const away = (node: Node) => Math.abs(node.token - from.token);
  return side.sort((one, other) => away(one) - away(other))[0] ?? from;
}

const spokenOf = (map: MapFacts, flow: Flow, { level, token, share }: Node): string => {
  const into = flow.edges
    .filter((edge) => edge.layer === level - 1 && edge.from === token)
    .sort((one, other) => other.share - one.share)[0];
  const from = into ? `, most of it from ${quoted(map.queries.labels[into.to])} ${exact(into.share)}` : "";
  return `${quoted(map.queries.labels[token])}, ${levelName(map, level)}: ${exact(share)}${from}`;
};

interface TipProps {
  store: Store;
  map: MapFacts;
  flow: Flow;
  pointed: Node | Edge;
  stage: Stage;
}

function Tip({ store, map, flow, pointed, stage }: TipProps) {
  const isNode = "token" in pointed;
  const [x, y] = isNode
    ? [xOf(stage, pointed.token), yOf(stage, pointed.level)]
    : [(xOf(stage, pointed.from) + xOf(stage, pointed.to)) / 2, yOf(stage, pointed.layer + 0.5)];
  const left = x > stage.width / 2;
  const each = store.traits.flow_heads.value === "each";
  const style = {
    left: `${x}px`,
    top: `${y}px`,
    transform: `translate(${left ? "calc(-100% - 14px)" : "14px"}, ${y > stage.height / 2 ? "calc(-100% - 8px)" : "8px"})`,
  };
  return (
    <div class="tooltip" data-part="tooltip" style={style} aria-hidden="true">
      <div>
        {isNode
          ? quoted(map.queries.labels[pointed.token])
          : `${quoted(map.queries.labels[pointed.from])} ← ${quoted(map.queries.labels[pointed.to])}`}
      </div>
      <div>{exact(pointed.share)} of the flow</div>
      <div>
        {isNode
          ? `${levelName(map, pointed.level)}${pointed.token === flow.query ? "" : "; click to follow it"}`
          : `layer ${layerNumber(map, pointed.layer)}: ${carriers(pointed, (head) => `head ${headNumber(map, pointed.layer, head)}`, each)}`}
      </div>
    </div>
  );
}

/** How much each run of tokens gives to each: numbers in their colours where these can be read, and cells where there are many. */
import { useRef } from "preact/hooks";
import { css, inkOn, pack } from "../../../attention/colour";
import { prepare, useDrawing } from "../../../drawing/canvas";
import { paint } from "../../../drawing/paint";
import { exact, shortened, signed } from "../../../drawing/words";
import type { NamedSpan } from "../../../host/facts";
import type { Store } from "../../store";

/** More runs than this have no room for their numbers. */
const WRITTEN = 14;
const CELL = 7;
const SMALLEST = 3;
const LARGEST = 460;

export interface Mass {
  queries: readonly NamedSpan[];
  keys: readonly NamedSpan[];
  /** [queries, keys]; of two heads what the second gives more or less. */
  mass: Float32Array;
  signed: boolean;
  /** Of an effect, the logits that 1 stands for. */
  unit: number | null;
  chance: Float32Array;
}

/** The mass that has the last colour: by row where rows have a range each. */
export function endOf(store: Store, { mass, keys }: Mass, row: number): number {
  const range = store.traits.color_range.value;
  if (range === "shared") return 1;
  const of = range === "row" ? mass.subarray(row * keys.length, (row + 1) * keys.length) : mass;
  // What has no value is no end.
  return Math.max(1e-12, ...Array.from(of, Math.abs).filter((value) => !Number.isNaN(value)));
}

const said = (
  { queries, keys, mass, chance, signed: differs, unit }: Mass,
  row: number,
  column: number,
): string => {
  const at = row * keys.length + column;
  const [from, to] = [queries[row]![0], keys[column]![0]];
  if (Number.isNaN(mass[at])) return `${from} has no query with values`;
  if (unit !== null) return `${signed(mass[at]! * unit)} logits at ${from} come through ${to}, in the mean`;
  if (differs) return `${from} gives ${signed(mass[at]!)} of its attention to ${to}, second less first`;
  return `${from} gives ${exact(mass[at]!)} of its attention to ${to}; a head that looks everywhere alike would give ${exact(chance[at]!)}`;
};

/** Two places; a difference with its sign. */
export function inCell({ signed, unit }: Mass, mass: number): string {
  const value = mass * (unit ?? 1);
  if (Number.isNaN(value)) return "–";
  const sign = signed && Math.abs(value) >= 0.005 ? (value < 0 ? "−" : "+") : "";
  return `${sign}${Math.abs(value).toFixed(2)}`;
}

interface Props {
  store: Store;
  of: Mass;
  /** Somebody wants to see these cells themselves. */
  onOpen: (query: NamedSpan, key: NamedSpan) => void;
}

export function Matrix(props: Props) {
  const { of } = props;
  return Math.max(of.queries.length, of.keys.length) <= WRITTEN ? <Table {...props} /> : <Cells {...props} />;
}

function Table({ store, of, onOpen }: Props) {
  const tint = store.tint.value;
  return (
    <table class="span-table" data-part="span-map">
      <caption class="spoken">How much each span gives to each; rows are spans of queries.</caption>
      <thead>
        <tr>
          <td />
          {of.keys.map(([name], at) => (
            <th scope="col" key={at} title={name}>
              <bdi>{shortened(name, 18)}</bdi>
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {of.queries.map((query, row) => (
          <tr key={row}>
            <th scope="row" title={query[0]}>
              <bdi>{shortened(query[0], 22)}</bdi>
            </th>
            {of.keys.map((key, column) => {
              const value = of.mass[row * of.keys.length + column]!;
              const colour = Number.isNaN(value) ? null : tint(value, endOf(store, of, row));
              return (
                <td key={column}>
                  <button
                    type="button"
                    data-part="span-cell"
                    data-mass={value}
                    title={said(of, row, column)}
                    style={colour ? { background: css(colour), color: inkOn(colour) } : {}}
                    onClick={() => onOpen(query, key)}
                  >
                    {inCell(of, value)}
                  </button>
                </td>
              );
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Cells({ store, of, onOpen }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [rows, columns] = [of.queries.length, of.keys.length];
  const size = Math.max(SMALLEST, Math.min(CELL, LARGEST / Math.max(rows, columns)));
  const area = { x: 0, y: 0, width: columns * size, height: rows * size };

  useDrawing(() => {
    if (!canvas.current) return;
    const tint = store.tint.value;
    const pixels = new Uint32Array(rows * columns);
    for (let row = 0; row < rows; row++) {
      const end = endOf(store, of, row);
      for (let at = row * columns; at < (row + 1) * columns; at++) {
        const value = of.mass[at]!;
        if (!Number.isNaN(value)) pixels[at] = pack(tint(value, end));
      }
    }
    const { font, line } = store.colours.value;
    paint(prepare(canvas.current, area.width, area.height), font, [
      { kind: "pixels", ...area, rows, columns, pixels },
      { kind: "box", ...area, stroke: line, line: 1 },
    ]);
  }, [of]);

  function under(event: MouseEvent): [row: number, column: number] {
    const box = canvas.current!.getBoundingClientRect();
    const inside = (at: number, count: number) => Math.min(count - 1, Math.max(0, Math.floor(at / size)));
    return [inside(event.clientY - box.top, rows), inside(event.clientX - box.left, columns)];
  }

  const far = (at: number) => Math.abs(of.mass[at] ?? 0) || 0;
  const strongest = of.mass.reduce((best, _, at) => (far(at) > far(best) ? at : best), 0);
  return (
    <canvas
      ref={canvas}
      data-part="span-map"
      role="img"
      aria-label={`${rows} by ${columns} spans. ${said(of, Math.floor(strongest / columns), strongest % columns)}.`}
      onPointerMove={(event) => {
        canvas.current!.title = said(of, ...under(event));
      }}
      onClick={(event) => {
        const [row, column] = under(event);
        onOpen(of.queries[row]!, of.keys[column]!);
      }}
    />
  );
}

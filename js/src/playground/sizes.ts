/** More or fewer tokens and numbers: what has to change together so that everything still fits. */
import { type Rows, visibility, widthOf } from "../attention/steps";
import type { Numbers, PlaygroundFacts, SceneFacts } from "./choices";

export type Axis = "queries" | "keys" | "tokens" | "width" | "values";

const row = (width: number): number[] => Array.from({ length: width }, () => 0);
const longer = (rows: Rows, by: 1 | -1): Rows => (by > 0 ? [...rows, row(widthOf(rows))] : rows.slice(0, -1));
const wider = (rows: Rows, by: 1 | -1): Rows => rows.map((one) => (by > 0 ? [...one, 0] : one.slice(0, -1)));
const named = (labels: readonly string[], count: number): readonly string[] =>
  labels.length > count ? labels.slice(0, count) : labels;

/** A drawn mask of another size: what comes can be seen. */
function fitted(mask: Numbers["mask"], queries: number, keys: number): Numbers["mask"] {
  if (typeof mask === "string") return mask;
  return visibility("none", queries, keys).map((line, query) =>
    line.map((_, key) => mask[query]?.[key] ?? true),
  );
}

export function sizeOf(numbers: Pick<Numbers, "query" | "key" | "value">, axis: Axis): number {
  const { query, key, value } = numbers;
  return {
    queries: query.length,
    keys: key.length,
    tokens: key.length,
    width: widthOf(key),
    values: widthOf(value),
  }[axis];
}

/** Whether there may be one more, or one less. */
export function canResize(
  numbers: Numbers,
  axis: Axis,
  by: 1 | -1,
  { limits }: Pick<PlaygroundFacts, "limits">,
): boolean {
  const size = sizeOf(numbers, axis) + by;
  return size >= 1 && size <= (axis === "width" || axis === "values" ? limits.width : limits.tokens);
}

/** All that changes when there is one more or one less. */
export function resized(numbers: Numbers, axis: Axis, by: 1 | -1, { tied }: SceneFacts): Partial<Numbers> {
  const { query, key, value, mask, positions } = numbers;
  if (axis === "width")
    return { query: wider(query, by), key: wider(key, by), ...(tied && { value: wider(value, by) }) };
  if (axis === "values") return { value: wider(value, by), mixing: [] };
  const queries = axis === "keys" ? query : longer(query, by);
  const keys = axis === "queries" ? key : longer(key, by);
  const places = positions.length > 0 && keys.length !== key.length;
  return {
    query: queries,
    query_labels: named(numbers.query_labels, queries.length),
    row: Math.min(numbers.row, queries.length - 1),
    mask: fitted(mask, queries.length, keys.length),
    ...(keys !== key && {
      key: keys,
      value: longer(value, by),
      key_labels: named(numbers.key_labels, keys.length),
    }),
    ...(places && {
      positions: by > 0 ? [...positions, Math.max(...positions) + 1] : positions.slice(0, -1),
    }),
  };
}

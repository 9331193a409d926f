/** Values as Python writes them. */

/** What a reader of code would not see, or see elsewhere. */
const UNSEEN = /[\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
const spelt = (sign: string) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`;

export function literal(value: unknown): string {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  // The escapes of JSON are Python's too.
  if (typeof value === "string") return JSON.stringify(value).replace(UNSEEN, spelt);
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value === "object") {
    const entries = Object.entries(value).map(([name, held]) => `${literal(name)}: ${literal(held)}`);
    return `{${entries.join(", ")}}`;
  }
  if (Number.isFinite(value)) return String(value);
  return `float("${Number.isNaN(value) ? "nan" : (value as number) > 0 ? "inf" : "-inf"}")`;
}

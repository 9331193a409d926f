/** Tokens and numbers as a person reads them. */

/** Unicode has a picture of every control character. */
const PICTURES = Array.from({ length: 32 }, (_, code) => [
  String.fromCharCode(code),
  String.fromCharCode(0x2400 + code),
]);
const SIGNS: Record<string, string> = {
  ...Object.fromEntries(PICTURES),
  "\u007f": "␡",
  "\n": "⏎",
  "\t": "⇥",
};

/** A token with nothing invisible left in it. */
export function readable(label: string): string {
  if (label === "") return "∅";
  if (/^ +$/.test(label)) return "␣".repeat(label.length);
  return Array.from(label, (sign) => SIGNS[sign] ?? sign).join("");
}

export const quoted = (label: string | undefined): string => `“${readable(label ?? "")}”`;

/** Four decimals; in scientific notation where these would hide the number. */
export function exact(value: number): string {
  if (Number.isNaN(value)) return "–";
  if (value !== 0 && Math.abs(value) < 0.001) return value.toExponential(2).replace("-", "−");
  return value.toFixed(4);
}

/** Three significant digits at most, without trailing zeros. */
export function short(value: number): string {
  if (Number.isNaN(value)) return "–";
  if (value !== 0 && Math.abs(value) < 0.001) return value.toExponential(0).replace("-", "−");
  return String(Number(value.toPrecision(3)));
}

/** Two digits that say something, for badges; where room is scarce without the zero before the point. */
export function brief(value: number, scarce = false): string {
  if (Number.isNaN(value)) return "–";
  const size = Math.abs(Number(value.toPrecision(2)));
  if (size === Number.POSITIVE_INFINITY) return value < 0 ? "−∞" : "∞";
  const places = size >= 10 || size === 0 ? 0 : size >= 1 ? 1 : 2;
  const text = size >= 10_000 ? `${Math.round(Math.abs(value) / 1000)}k` : Math.abs(value).toFixed(places);
  const sign = value < 0 && Number(value.toFixed(places)) !== 0 ? "−" : "";
  return sign + (scarce ? text.replace(/^0\./, ".") : text);
}

/** The longest beginning of a text that fits, cut between characters and never inside one. */
export function elide(context: CanvasRenderingContext2D, text: string, width: number): string {
  if (context.measureText(text).width <= width) return text;
  const characters = Array.from(text);
  let low = 0;
  let high = characters.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (context.measureText(`${characters.slice(0, middle).join("")}…`).width <= width) low = middle;
    else high = middle - 1;
  }
  return `${characters.slice(0, low).join("").trimEnd()}…`;
}

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
  "\ufeff": "<BOM>",
};

/** What nobody sees: a break that may be, and what turns the text around it around. */
const UNSEEN: Record<string, string> = {
  ...{ "\u00ad": "SHY", "\u200b": "ZWSP", "\u2060": "WJ", "\u200e": "LRM", "\u200f": "RLM", "\u061c": "ALM" },
  ...{ "\u202a": "LRE", "\u202b": "RLE", "\u202c": "PDF", "\u202d": "LRO", "\u202e": "RLO" },
  ...{ "\u2066": "LRI", "\u2067": "RLI", "\u2068": "FSI", "\u2069": "PDI" },
};
/** They join letters and the parts of an emoji, and are named only where they stand alone. */
const JOINERS: Record<string, string> = { "\u200c": "ZWNJ", "\u200d": "ZWJ", "\u00a0": "NBSP" };
const NOTHING_SEEN = /^(?:\s|\p{Cf}|\u115f|\u3164|[\ufe00-\ufe0f])+$/u;

function nameOf(sign: string): string {
  const code = sign.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0");
  return `<${UNSEEN[sign] ?? JOINERS[sign] ?? `U+${code}`}>`;
}

/** A token with nothing invisible left in it. */
export function readable(label: string): string {
  if (label === "") return "∅";
  if (/^ +$/.test(label)) return "␣".repeat(label.length);
  const alone = NOTHING_SEEN.test(label);
  const seen = (sign: string) =>
    SIGNS[sign] ?? (sign in UNSEEN || (alone && sign !== " ") ? nameOf(sign) : sign);
  return Array.from(label, seen).join("");
}

/** Longer words are named by their two ends. */
const LONGEST_NAME = 48;

/** A word that fits a line: its beginning and its end, cut between characters and never inside one. */
export function shortened(text: string, most = LONGEST_NAME): string {
  if (text.length <= most) return text;
  const characters = Array.from(new Intl.Segmenter().segment(text), ({ segment }) => segment);
  if (characters.length <= most) return text;
  const half = (most - 1) / 2;
  return `${characters.slice(0, Math.ceil(half)).join("")}…${characters.slice(-Math.floor(half)).join("")}`;
}

const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
const LETTER = /\p{L}/u;

/** How a text runs: as the first letter in it does. */
export function directionOf(words: Iterable<string>): "ltr" | "rtl" {
  for (const word of words) {
    const letter = LETTER.exec(word);
    if (letter) return RIGHT_TO_LEFT.test(letter[0]) ? "rtl" : "ltr";
  }
  return "ltr";
}

/** The name of a token in a sentence; one that runs from right to left turns only itself around. */
export function quoted(label: string | undefined): string {
  const name = shortened(readable(label ?? ""));
  return RIGHT_TO_LEFT.test(name) ? `“\u2068${name}\u2069”` : `“${name}”`;
}

/** Four decimals; in scientific notation where these would hide the number. */
export function exact(value: number): string {
  if (Number.isNaN(value)) return "–";
  if (value !== 0 && Math.abs(value) < 0.001) return value.toExponential(2).replace("-", "−");
  return value.toFixed(4);
}

/** The same of a difference, which says whether it is more or less; or as many decimals as are wanted. */
export function signed(value: number, decimals?: number): string {
  const size = Math.abs(value);
  const text = decimals === undefined || Number.isNaN(value) ? exact(size) : size.toFixed(decimals);
  return `${value > 0 ? "+" : value < 0 ? "−" : ""}${text}`;
}

/** Three significant digits at most, without trailing zeros. */
export function short(value: number): string {
  if (Number.isNaN(value)) return "–";
  if (value !== 0 && Math.abs(value) < 0.001) return value.toExponential(0).replace("-", "−");
  return String(Number(value.toPrecision(3)));
}

/** A number as a person would type it: five significant digits at most. */
export function written(value: number): string {
  const rounded = Number(value.toPrecision(5));
  const size = Math.abs(rounded);
  if (size === 0 || (size >= 1e-4 && size < 1e7)) return String(rounded);
  return rounded.toExponential().replace("+", "");
}

/** Some significant digits, four where it is not said, of a number that is only looked at. */
export function measured(value: number, digits = 4): string {
  const size = Math.abs(value);
  if (Number.isNaN(value)) return "NaN";
  if (size === Number.POSITIVE_INFINITY) return value < 0 ? "−∞" : "∞";
  if (size === 0) return "0";
  if (size < 0.001 || size >= 100_000) {
    return value.toExponential(2).replace("+", "").replaceAll("-", "−");
  }
  const rounded = size < 1000 ? value.toPrecision(digits) : String(Number(value.toPrecision(digits)));
  return rounded.replace("-", "−");
}

/** e to some power, which may be larger than any number here. */
export function powered(log: number): string {
  const value = Math.exp(log);
  if (!Number.isFinite(log) || (value >= 0.001 && value < 100_000)) return measured(value);
  const tens = log / Math.LN10;
  // So far out its digits say nothing.
  if (Math.abs(tens) >= 1e6) return `10^${measured(tens)}`;
  const digits = (10 ** (tens - Math.floor(tens))).toPrecision(3);
  const [mantissa, exponent] =
    digits === "10.0" ? ["1.00", Math.floor(tens) + 1] : [digits, Math.floor(tens)];
  return `${mantissa}e${exponent}`.replace("-", "−");
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

/** Lines of a sentence that fit a width; words that fit no line are cut. */
export function wrapped(context: CanvasRenderingContext2D, text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ").filter(Boolean)) {
    const longer = lines.length > 0 ? `${lines.at(-1)} ${word}` : "";
    if (longer && context.measureText(longer).width <= width) lines[lines.length - 1] = longer;
    else lines.push(elide(context, word, width));
  }
  return lines;
}

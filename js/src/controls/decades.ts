/** A track of powers of ten: where on it a number stands, which number a place or a step means, and what is refused. */

export interface Track {
  /** The ends; a number beyond them can be typed. */
  from: number;
  to: number;
  /** Whether 0 can be chosen: it stands left of all others, for it is no power. */
  zero: boolean;
}

/** A number that is often wanted, and what it is called. */
export interface Stop {
  value: number;
  label: string;
  title?: string;
}

/** Powers of ten that a step is, and from which a stop draws the hand to itself. */
const STEP = 0.01;
const DRAW = 0.025;
/** Between 0 and the smallest power. */
const GAP = 0.2;
/** Beyond these nothing can be told from softmax's two ends. */
const LEAST = 1e-6;
const MOST = 1e6;

export const ends = ({ from, to, zero }: Track): [first: number, last: number] => [
  Math.log10(from) - (zero ? GAP : 0),
  Math.log10(to),
];

export const placeOf = (track: Track, value: number): number =>
  value > 0 ? Math.log10(value) : ends(track)[0];

/** How far along the track, 0 to 1. */
export function shareOf(track: Track, value: number): number {
  const [first, last] = ends(track);
  return Math.min(1, Math.max(0, (placeOf(track, value) - first) / (last - first)));
}

function numberAt(place: number, stops: readonly Stop[], reach: number): number {
  const near = stops.find(({ value }) => value > 0 && Math.abs(Math.log10(value) - place) <= reach);
  return near?.value ?? Number((10 ** place).toPrecision(3));
}

/** The number at a place of the track. */
export function valueAt(track: Track, place: number, stops: readonly Stop[] = []): number {
  const first = Math.log10(track.from);
  if (track.zero && place < first - GAP / 2) return 0;
  return numberAt(Math.max(first, place), stops, DRAW);
}

/** The next number up or down; steps go through the stops, and back the way they came. */
export function stepped(track: Track, value: number, by: 1 | -1, stops: readonly Stop[]): number {
  const { from, to, zero } = track;
  if (value === 0) return by > 0 ? from : 0;
  if (by < 0 && value <= from) return zero ? 0 : value;
  if (by > 0 && value >= to) return value;
  const place = (Math.round(Math.log10(value) / STEP) + by) * STEP;
  return Math.min(Math.max(to, value), Math.max(from, numberAt(place, stops, STEP / 2)));
}

/** The next stop up or down, or else the number itself. */
export function nextStop(value: number, by: 1 | -1, stops: readonly Stop[]): number {
  const ahead = stops.map((stop) => stop.value).filter((stop) => (stop - value) * by > 0);
  if (ahead.length === 0) return value;
  return by > 0 ? Math.min(...ahead) : Math.max(...ahead);
}

/** A typed number; or in a sentence why it is none that can be used. */
export function read(text: string, zero: boolean): number | string {
  const typed = text.trim();
  const value = typed === "" ? Number.NaN : Number(typed.replace("−", "-").replace(",", "."));
  const said = typed.length > 16 ? `${typed.slice(0, 15)}…` : typed;
  if (Number.isNaN(value)) return `“${said}” is no number`;
  if (value < 0 || (value === 0 && !zero)) return `${said}: expected ${zero ? "0 or more" : "more than 0"}`;
  if (value > MOST) return `${said} is too large: at most ${MOST.toLocaleString("en")}`;
  if (value !== 0 && value < LEAST) return `${said} is too small: at least ${LEAST.toFixed(6)}`;
  return value === 0 ? 0 : value;
}

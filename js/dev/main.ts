/** The Explorer on a page of its own: ?tokens=60&layers=12&heads=12&theme=dark&causal=0&query=5&temperature=0.5
 * ?on=0,2 switches heads of lines on, ?also=3,5 pins further words, ?text=lines and others are texts of several kinds.
 * ?compare=heads holds the heads against one of them, ?compare=runs two runs; ?compared says what is shown of the two.
 * With ?measures and ?findings the kernel answers these too, and ?derived adds a map of that kind.
 * ?held keeps queries and keys, ?width=64 wide, and ?rotary turned.
 * ?kv=2 shares keys, ?spans marks prompt and generated part and ?spans=soft a soft prompt too, ?image is a ViT of 14 x 14 patches, ?image=words a caption
 * of it. ?found has turns of a chat, ?worth heads that are worth a look. */

import type { Finding } from "../src/answers/findings";
import type { Standout } from "../src/answers/standouts";
import explorer from "../src/explorer";
import type { Choices } from "../src/explorer/choices";
import type { NamedSpan } from "../src/host/facts";
import { type MapOptions, MockMap } from "../test/maps";
import { MockModel } from "../test/mock";

const TEXT =
  "Lily and Ben went to the park . Lily gave the ball to Ben , and then they walked home together because it was getting dark . The nurse examined the farmer for ticks because she was late";

const asked = new URLSearchParams(location.search);
const number = (name: string, fallback: number) => Number(asked.get(name) ?? fallback);
const words = TEXT.split(" ");
const TEXTS: Record<string, string> = {
  lines:
    "The|nurse|examined|the|farmer|.|\n\n|She|was|late|,|and|nobody|had|seen|her|.|\n|The|end|.|\n\n|הילד|נתן|את|הכדור|ל|Ben|בגן|.",
  hebrew: "הילד|נתן|את|הכדור|לאחותו|בגן|.|Then|he|said|שלום|עולם|to|her|and|left",
  chinese: "我们|在|公园|里|看见|了|一|只|小|狗|。|Ben|说|：|“|它|真|可爱|！|”|我们|都|笑|了|。",
  pair: "[CLS]|the|cat|sat|on|the|mat|[SEP]|a|dog|lay|on|the|rug|[SEP]",
  hostile: "<b>x</b>|<script>alert(1)</script>||  |👩🏽‍🚀|\u202eabc|\u200b|שלום|你好|a\tb|end",
};
const given = TEXTS[asked.get("text") ?? ""]?.split("|");
const tokens = given ?? Array.from({ length: number("tokens", 12) }, (_, at) => words[at % words.length]!);
const FOUND = asked.has("found")
  ? {
      found: {
        roles: [
          ["system", 0, 5],
          ["user", 5, 11],
          ["assistant", 11, 18],
          ["user 2", 18, 24],
        ] as NamedSpan[],
      },
    }
  : {};
if (asked.has("special")) tokens[0] = "[CLS]";

const STANDOUTS: Standout[] = [
  {
    layer: 1,
    head: 3,
    reasons: [
      ["induction", 0.91, "strongest induction"],
      ["duplicate", 0.4, "earlier copies of the token"],
    ],
  },
  { layer: 0, head: 2, reasons: [["previous", 0.97, "previous token"]] },
  { layer: 2, head: 0, reasons: [["sink", 0.83, "strongest sink"]] },
];
const FINDINGS: Finding[] = [
  {
    name: "collapse",
    title: "Attention collapses on the first token",
    severity: "alarm",
    sentence: "Heads 0 to 3 of layer 2 give 0.97 of their weight to the first token, whatever the query.",
    evidence: [
      ["weight on the first token", "0.97", "below 0.60"],
      ["mean entropy", "0.11 nats", "0.80 to 2.10 nats"],
    ],
    causes: ["A learning rate too high early in training.", "No warm-up before the first large steps."],
    remedies: ["Lower the learning rate and look again after 500 steps.", "Normalise queries and keys."],
    places: [
      [2, 0],
      [2, 1],
      [2, 2],
      [2, 3],
      [1, 0],
      [1, 1],
      [1, 2],
      [3, 0],
    ],
  },
  {
    name: "uniform",
    title: "Heads that look everywhere alike",
    severity: "warning",
    sentence: "The entropy of the whole layer is within a hundredth of a uniform head's.",
    evidence: [["entropy / uniform", "0.99", "below 0.90"]],
    causes: ["Scores divided twice by the root of the head's width."],
    remedies: ["Compare one head's scores with q·k by hand."],
    places: [[0, null]],
  },
  {
    name: "alike",
    title: "Two heads alike",
    severity: "note",
    sentence: "The maps of two heads differ by less than 0.01 on average.",
    evidence: [],
    causes: [],
    remedies: [],
    places: [
      [3, 1],
      [3, 2],
    ],
  },
];

const GRID = { start: 1, rows: 14, columns: 14, picture: asked.get("picture") !== "0", digest: 1 };
const patches = ["[CLS]", ...Array.from({ length: 196 }, (_, at) => `${Math.floor(at / 14)},${at % 14}`)];
const imaged = {
  ...(asked.get("image") === "words"
    ? { keys: patches, image: GRID, causal: false }
    : { queries: patches, image: GRID, causal: false, special: [0] }),
};
const half = Math.floor(tokens.length / 2);
const SOFT: NamedSpan[] = [
  ["prefix", 0, 3],
  ["anchor", 3, 5],
];
const marked: Partial<MapOptions> = {
  spans: [
    ["prompt", 0, half],
    ["generated", half, tokens.length],
    ...(asked.get("spans") === "soft" ? SOFT : []),
  ],
  following: "park",
};

const layers = number("layers", 4);
const heads = number("heads", 4);
const options: MapOptions = {
  queries: tokens,
  ...(asked.has("keys") && {
    keys: Array.from({ length: number("keys", 7) }, (_, at) => words[at % words.length]!).reverse(),
  }),
  heads: Array.from({ length: layers }, () => heads),
  ...(asked.has("held") && {
    held: "projections" as const,
    scores: {
      scaling: 1 / Math.sqrt(number("width", 32)),
      width: number("width", 32),
      rotary: asked.has("rotary"),
    },
    width: number("width", 32),
    rotary: asked.has("rotary"),
  }),
  ...(asked.has("kv") && { keyValueHeads: Array.from({ length: layers }, () => number("kv", 1)) }),
  causal: asked.get("causal") !== "0",
  special: given
    ? [...tokens.keys()].filter((at) => /^\[[A-Z]+\]$/.test(tokens[at]!))
    : asked.has("special")
      ? [0]
      : [],
  notes: asked.has("note") ? ["Scaling acts on the scores after the position bias."] : [],
  ...(asked.has("measures") && { measured: { without: [[0, 1]] } }),
  ...(asked.has("spans") && marked),
  ...(asked.has("image") && imaged),
  ...FOUND,
  ...(asked.has("worth") && { standouts: STANDOUTS }),
  ...(asked.has("findings") && { findings: asked.get("findings") === "none" ? [] : FINDINGS }),
};
const run = (name: string, seed: number) => new MockMap({ ...options, name, seed, run: name });
const compared = asked.get("compare");
const maps = compared === "runs" ? [run("after", 8), run("before", 7)] : [new MockMap(options)];
const kind = asked.get("derived");
const derived = kind
  ? [
      new MockMap({
        name: kind,
        queries: tokens,
        heads: Array.from({ length: layers }, () => 1),
        derived: kind,
        seed: 3,
      }),
    ]
  : [];
const choices = Object.fromEntries(
  ["layer", "head", "query", "key", "temperature", "scaling"]
    .filter((name) => asked.has(name))
    .map((name) => [name, number(name, 0)]),
);
for (const name of [
  "map",
  "view",
  "flow_heads",
  "measure",
  "sort",
  "theme",
  "color_map",
  "color_scale",
  "color_range",
  "reading",
  "joined",
]) {
  if (asked.has(name)) Object.assign(choices, { [name]: asked.get(name) });
}
if (compared === "runs") Object.assign(choices, { against: { map: "before", layer: null, head: null } });
else if (compared) Object.assign(choices, { against: { map: "attention", layer: 1, head: 1 } });
if (asked.has("compared")) Object.assign(choices, { compared: asked.get("compared") });
const listed = (name: string) => asked.get(name)?.split(",").map(Number) ?? [];
Object.assign(choices, { also: listed("also"), heads: listed("on") });
if (asked.has("threshold")) Object.assign(choices, { threshold: number("threshold", 0) });
const model = new MockModel([...maps, ...derived], choices as Partial<Choices>, tokens.join(" "));
Object.assign(window, { model });
if (asked.get("theme") === "dark") document.body.style.background = "#15181c";
explorer.render({ model, el: document.body });

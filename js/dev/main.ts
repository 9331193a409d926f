/** The Explorer on a page of its own: ?tokens=60&layers=12&heads=12&theme=dark&causal=0&query=5&temperature=0.5 */

import explorer from "../src/explorer";
import type { Choices } from "../src/host/traits";
import { MockMap, MockModel } from "../test/mock";

const TEXT =
  "Lily and Ben went to the park . Lily gave the ball to Ben , and then they walked home together because it was getting dark . The nurse examined the farmer for ticks because she was late";

const asked = new URLSearchParams(location.search);
const number = (name: string, fallback: number) => Number(asked.get(name) ?? fallback);
const words = TEXT.split(" ");
const tokens = Array.from({ length: number("tokens", 12) }, (_, at) => words[at % words.length]!);
if (asked.has("special")) tokens[0] = "[CLS]";

const layers = number("layers", 4);
const heads = number("heads", 4);
const map = new MockMap({
  queries: tokens,
  ...(asked.has("keys") && { keys: TEXT.split(" ").slice(0, number("keys", 7)).reverse() }),
  heads: Array.from({ length: layers }, () => heads),
  ...(asked.has("kv") && { keyValueHeads: Array.from({ length: layers }, () => number("kv", 1)) }),
  causal: asked.get("causal") !== "0",
  special: asked.has("special") ? [0] : [],
  notes: asked.has("note") ? ["Scaling acts on the scores after the position bias."] : [],
});
const choices = Object.fromEntries(
  ["layer", "head", "query", "key", "temperature", "scaling"]
    .filter((name) => asked.has(name))
    .map((name) => [name, number(name, 0)]),
);
for (const name of ["view", "theme", "color_map", "color_scale", "color_range"]) {
  if (asked.has(name)) Object.assign(choices, { [name]: asked.get(name) });
}
const model = new MockModel([map], choices as Partial<Choices>, tokens.join(" "));
Object.assign(window, { model });
if (asked.get("theme") === "dark") document.body.style.background = "#15181c";
explorer.render({ model, el: document.body });

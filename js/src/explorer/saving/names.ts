/** What files are called: from map, layer and head, in letters that every file system takes. */
import { headNumber, layerNumber, type MapFacts } from "../../host/facts";

const LONGEST = 100;
/** What comes first is a name that somebody gave; the rest tells heads apart, and stays. */
const LONGEST_GIVEN = 60;

/** Characters that file systems refuse, that nobody sees, or that turn a name around; and halves of a surrogate pair. */
const REFUSED = /[\s\\/:*?"<>|\p{Cc}\p{Cf}\p{Cs}]+/gu;

const cleaned = (part: string): string =>
  part
    .replace(REFUSED, "-")
    .replace(/-{2,}/g, "-")
    .replace(/^[-.]+|[-.]+$/g, "");

/** As many characters as fit, and none of them in half. */
function cut(text: string, most: number): string {
  let short = "";
  for (const sign of text) {
    if (short.length + sign.length > most) break;
    short += sign;
  }
  return short;
}

/** A name of parts, the first of which gives way where it gets too long. */
export function fileName([first, ...rest]: readonly string[], ending: string): string {
  const others = rest
    .map(cleaned)
    .filter(Boolean)
    .map((part) => `-${part}`)
    .join("");
  const tail = `${cut(others, LONGEST - LONGEST_GIVEN)}.${ending}`;
  const given = cleaned(cut(cleaned(first ?? ""), Math.min(LONGEST_GIVEN, LONGEST - tail.length)));
  return `${given || "attention"}${tail}`;
}

/** Map, layer and head as the model numbers them, where there are several. */
export function headParts(map: MapFacts, layer: number, head: number): string[] {
  const heads = map.heads[layer] ?? 1;
  const alone = map.derived && map.heads.length === 1;
  return [
    map.name,
    ...(alone ? [] : [`layer ${layerNumber(map, layer)}`]),
    ...(map.derived && heads === 1 ? [] : [`head ${headNumber(map, layer, head)}`]),
  ];
}

/** A number of a head, in few digits: effects have their sign. */
import { brief } from "../../../drawing/words";
import type { Measure } from "../../../host/facts";

export const LOGITS = "logits";

export function badge({ unit }: Pick<Measure, "unit">, value: number, scarce = false): string {
  const text = brief(value, scarce);
  return unit === LOGITS && Number(text) > 0 ? `+${text}` : text;
}

/** What is wrong is seen first: a badge beside the title that opens the findings, and what they say of each head. */
import type { RefObject } from "preact";
import { findings as findingsOf, type Severity } from "../../../answers/findings";
import type { MapFacts } from "../../../host/facts";
import type { Answers } from "../../answers";
import type { Store } from "../../store";
import { counted, Mark } from "../mark";

/** Severities that are seen before anybody looks for them; notes are read in the list. */
const LOUD = ["alarm", "warning"] as const satisfies readonly Severity[];

interface Props {
  store: Store;
  answers: Answers;
  /** What the findings are somewhere in. */
  around: RefObject<HTMLElement | null>;
}

export function Alarms({ store, answers, around }: Props) {
  const map = store.map.value;
  const found = map?.diagnosed ? (answers.known.get(findingsOf(map.name))?.findings ?? []) : [];
  const counts = LOUD.map((severity) => ({
    severity,
    count: found.filter((finding) => finding.severity === severity).length,
  })).filter(({ count }) => count > 0);
  if (counts.length === 0) return null;

  function open(): void {
    store.openFindings.value = true;
    const findings = around.current?.closest(".layout")?.querySelector<HTMLElement>(".findings");
    findings?.querySelector<HTMLElement>("button")?.focus({ preventScroll: true });
    findings?.scrollIntoView({ block: "nearest" });
  }

  const names = counts.map(({ severity, count }) => counted(count, severity)).join(", ");
  return (
    <button
      type="button"
      class="alarms"
      data-part="alarms"
      aria-label={`${names} about this model: show the findings`}
      title={`${names} about this model`}
      onClick={open}
    >
      {counts.map((mark) => (
        <Mark key={mark.severity} {...mark} />
      ))}
    </button>
  );
}

/** The worst that is said of a head, or of a whole layer where the head is null, and all of it in words. */
export interface Told {
  severity: Severity;
  words: string;
}

/** What the loud findings say, by "layer/head", and by "layer/" of whole layers. */
export function toldOf(answers: Answers, map: MapFacts): ReadonlyMap<string, Told> {
  const told = new Map<string, Told>();
  if (!map.diagnosed) return told;
  const findings = answers.known.get(findingsOf(map.name))?.findings ?? [];
  for (const severity of LOUD) {
    for (const { title, places } of findings.filter((finding) => finding.severity === severity)) {
      for (const [layer, head] of places) {
        const name = `${layer}/${head ?? ""}`;
        const before = told.get(name);
        const words = `${severity}: ${title}`;
        told.set(name, {
          severity: before?.severity ?? severity,
          words: before ? `${before.words}; ${words}` : words,
        });
      }
    }
  }
  return told;
}

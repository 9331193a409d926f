/** How bad a finding is, in shapes that differ without their colours. */
import type { Severity } from "../../answers/findings";

export const MARKS: Record<Severity, string> = { alarm: "▲", warning: "◆", note: "○" };

export const counted = (count: number, severity: Severity) => `${count} ${severity}${count === 1 ? "" : "s"}`;

export function Mark({ severity, count }: { severity: Severity; count?: number }) {
  const name = count === undefined ? severity : counted(count, severity);
  return (
    <span class="mark" role="img" data-severity={severity} aria-label={name} title={name}>
      {MARKS[severity]}
      {count !== undefined && <b>{count}</b>}
    </span>
  );
}

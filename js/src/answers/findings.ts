/** What the kernel found unusual in a map. */

export const SEVERITIES = ["alarm", "warning", "note"] as const;
export type Severity = (typeof SEVERITIES)[number];

export interface Finding {
  name: string;
  title: string;
  severity: Severity;
  sentence: string;
  /** What was measured, its value, and what a healthy one would be. */
  evidence: [label: string, value: string, healthy: string][];
  causes: string[];
  remedies: string[];
  /** Layers and heads; null where a whole layer is meant. */
  places: [layer: number, head: number | null][];
}

export interface Findings {
  findings: Finding[];
  /** Said where there are none. */
  healthy: string;
}

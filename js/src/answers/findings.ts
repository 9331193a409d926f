/** What was found unusual in a map. */
import { ofLayer, type Question } from "./question";

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

export const findings = (map: string): Question<Findings> => ({
  name: `findings/${map}`,
  body: { op: "findings", map },
  worth: () => "none",
  read: ({ header }) => header as unknown as Findings,
});

/** A layer is examined by itself, so that a click never waits for a whole diagnosis. */
export const vitals = (map: string, layer: number): Question<true> => ({
  ...ofLayer("vitals", map, layer),
  worth: () => "none",
  read: () => true,
});

/** Surveyed: the texts of a survey in which the chosen head's number was largest, and smallest. */
import type { Traits } from "./choices";

/** A text, its row of the data, the token that speaks most for its number, and the number. */
export type Surveyed = readonly [number: number, text: string, place: number, value: number];

/** What Python tells of the chosen head. */
export interface Survey {
  state: "idle" | "running" | "error";
  why: string;
  /** How many texts there are. */
  count: number;
  measure: string;
  largest: readonly Surveyed[];
  smallest: readonly Surveyed[];
}

/** The choice that a view of a survey has beside the others. */
export interface Surveying {
  example: number | null;
}

export const SURVEYING: Surveying = { example: null };

/** Have a text read and shown. */
export function open(traits: Traits, [number]: Surveyed): void {
  traits.example.value = number;
}

/** What every view is held to: tokens that would hurt, and what axe finds. */
import axe from "axe-core";
import { expect } from "vitest";
import type { Placed } from "./mounted";

/** Markup, a script, a very long one, one from right to left, one of no width, and nothing. */
export const HOSTILE = [
  "<b>bold</b>",
  "<img src=x onerror='window.hurt=true'>",
  "</script><script>window.hurt=true</script>",
  "x".repeat(10_000),
  "שלום",
  "\u200b",
  "",
];

export async function noSeriousFinding(view: Placed): Promise<void> {
  const { violations } = await axe.run(view.host, { resultTypes: ["violations"] });
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  const said = serious.map(
    ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" | ")}`,
  );
  expect(said).toEqual([]);
}

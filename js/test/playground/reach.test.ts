/** Whom a Playground reaches: those who read it in other ways, by day and by night, and on a narrow page. */
import axe from "axe-core";
import { describe, expect, it, onTestFinished } from "vitest";
import { drawn, FACTS, model, mount } from "./mount";

const SCENES = FACTS.scenes.map(({ name }) => name);
const THEMES = ["light", "dark"] as const;
const SURFACES = { light: "#ffffff", dark: "#15181c" };

/** What keeps somebody out, in the words of axe. */
async function barriers(host: HTMLElement): Promise<string[]> {
  const { violations } = await axe.run(host, { resultTypes: ["violations"] });
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 200)} ${failureSummary}`),
    );
}

describe.each(THEMES)("in the %s", (theme) => {
  it.each(SCENES)("nothing of %s keeps anybody out", async (scene) => {
    document.body.style.background = SURFACES[theme];
    onTestFinished(() => {
      document.body.style.background = "";
    });
    const view = mount(model(scene, { theme }));
    await view.ready();
    await drawn();
    expect(await barriers(view.host)).toEqual([]);
  });
});

describe("on a page of 600 pixels", () => {
  const NUMBERS = (rows: number, columns: number) =>
    Array.from({ length: rows }, (_, row) =>
      Array.from({ length: columns }, (_, at) => ((row * 7 + at * 3) % 11) / 2 - 2.75),
    );
  const table = NUMBERS(12, 8);
  const labels = "the quick brown fox jumps over a lazy antidisestablishmentarian dog again .".split(" ");
  const full = {
    ...{ query: table, key: table, value: table, query_labels: labels, key_labels: labels },
    ...{ mask: Array.from({ length: 12 }, (_, row) => Array.from({ length: 12 }, (_, key) => key <= row)) },
    ...{ positions: [] },
  };

  it.each(SCENES)("%s is no wider than it, with 12 tokens of 8 numbers", async (scene) => {
    const host = model(scene, scene === "scaling" ? { length: 64 } : full);
    const view = mount(host, 600);
    await view.ready();
    await drawn();
    const scrolls = [...view.root.querySelectorAll<HTMLElement>(".wide")].filter(
      (one) => one.scrollWidth > one.clientWidth,
    );
    // Outputs of four heads side by side are 32 numbers.
    const wanted = scene === "heads" ? ["concatenated"] : [];
    expect(scrolls.map((one) => one.ariaLabel)).toEqual(wanted);
    const edge = view.host.getBoundingClientRect();
    expect(view.root.scrollWidth).toBeLessThanOrEqual(view.root.clientWidth);
    const wide = [...view.root.querySelectorAll<HTMLElement>("*")].filter((one) => {
      const box = one.getBoundingClientRect();
      return box.width > 0 && box.right > edge.right + 0.5 && !scrolls.some((scroll) => scroll.contains(one));
    });
    expect(wide.map((one) => one.outerHTML.slice(0, 120))).toEqual([]);
    expect(await barriers(view.host)).toEqual([]);
  });

  it.each(SCENES)("no number of %s is cut, and a name that is cut is said whole", async (scene) => {
    const host = model(scene, scene === "scaling" ? { length: 64 } : full);
    const view = mount(host, 600);
    await view.ready();
    await drawn();
    const isCut = (one: HTMLElement) =>
      one.offsetParent !== null && one.clientWidth > 0 && one.scrollWidth > one.clientWidth + 1;
    const all = (selector: string) => [...view.root.querySelectorAll<HTMLElement>(selector)].filter(isCut);
    const cut = all(".number, .switch, .tools button, .track b, p, h2, small, .note");
    expect(cut.map((one) => one.outerHTML.slice(0, 160))).toEqual([]);
    for (const name of all("th")) expect(name.title).toBe(name.textContent);
  });
});

/** The texts of a survey: listed for the chosen head, opened by a press, and never taken for markup. */
import axe from "axe-core";
import { expect, it, vi } from "vitest";
import type { Survey } from "../../src/explorer/surveyed";
import { MockMap } from "../maps";
import { MockModel } from "../mock";
import { type Mounted, mount } from "./mount";
import { WORDS } from "./pairs";

const FOUND: Survey = {
  state: "idle",
  why: "",
  count: 12000,
  measure: "induction",
  largest: [
    [7, "<img src=x onerror=alert(1)> and so on", 3, 0.9871],
    [2, "the dog ran", 1, 0.5],
  ],
  smallest: [[5, "Ben gave the ball", 2, 0.0004]],
};

/** Python sends it as text. */
const tell = (host: MockModel, survey: Survey) =>
  host.fromPython({ surveyed: JSON.stringify(survey) } as never);

function shown(survey: Survey | null = FOUND): { host: MockModel; view: Mounted } {
  const host = new MockModel([new MockMap({ queries: WORDS, held: "codes" })]);
  if (survey) tell(host, survey);
  return { host, view: mount(host) };
}

it("is not there where no survey is shown", async () => {
  const { view } = shown(null);
  await view.ready();
  expect(view.parts("examples")).toEqual([]);
});

it("lists texts as text, with their row, token and number", async () => {
  const { view } = shown();
  await view.ready();
  const [first, ...others] = view.parts("example");
  expect(first!.textContent).toContain("<img src=x onerror=alert(1)> and so on");
  expect(first!.querySelector("img")).toBeNull();
  expect(first!.textContent).toContain("0.9871");
  expect(first!.textContent).toContain("row 7, token 3");
  expect(others).toHaveLength(2);
  expect(view.part("examples").textContent).toContain("of 12,000, by induction");
  const { violations } = await axe.run(view.host.shadowRoot!.querySelector("[data-part=examples]")!);
  expect(violations.map(({ id }) => id)).toEqual([]);
});

it("asks Python for the text that is pressed, and says what became of it", async () => {
  const { host, view } = shown();
  await view.ready();
  const second = view.parts("example")[1]!;
  second.click();
  await vi.waitFor(() => expect(host.saved).toEqual([{ example: 2 }]));
  expect(second.ariaPressed).toBe("true");
  tell(host, { ...FOUND, state: "error", why: "row 2 is gone." });
  await vi.waitFor(() => expect(view.part("examples-why").textContent).toBe("row 2 is gone."));
  tell(host, { ...FOUND, largest: [], smallest: [] });
  await vi.waitFor(() => expect(view.part("examples").textContent).toContain("no such number"));
});

it("offers nothing where no kernel reads a text", async () => {
  const { host, view } = shown();
  await view.ready();
  host.disconnect();
  await vi.waitFor(() => expect(view.parts("example")[0]!.ariaDisabled).toBe("true"));
  view.parts("example")[0]!.click();
  expect(host.saved).toEqual([]);
});

/** What leaves an Explorer, caught at the door. */
import { expect, vi } from "vitest";
import type { Choices } from "../../src/explorer/choices";
import { type MapOptions, MockMap } from "../maps";
import { MockModel } from "../mock";
import type { Mounted } from "./mount";

export const WORDS = "Lily and Ben went to the park . Lily gave the ball".split(" ");
export const model = (choices: Partial<Choices> = {}, options: Partial<MapOptions> = {}) =>
  new MockModel([new MockMap({ queries: WORDS, ...options })], choices, "Lily and Ben");

export async function open(view: Mounted): Promise<void> {
  view.part("save").click();
  await vi.waitFor(() => expect(view.parts("save-menu")).toHaveLength(1));
}

/** What a choice of the menu hands to the browser. */
export async function saved(view: Mounted, part: string): Promise<{ name: string; blob: Blob }> {
  const files: { name: string; address: string }[] = [];
  const click = vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(function (
    this: HTMLAnchorElement,
  ) {
    files.push({ name: this.download, address: this.href });
  });
  await open(view);
  view.part(part).click();
  await vi.waitFor(() => expect(files).toHaveLength(1), { timeout: 5000 });
  click.mockRestore();
  const { name, address } = files[0]!;
  return { name, blob: await (await fetch(address)).blob() };
}

export async function copied(view: Mounted, part: string): Promise<string> {
  const write = vi.spyOn(navigator.clipboard, "writeText").mockResolvedValue();
  await open(view);
  view.part(part).click();
  await vi.waitFor(() => expect(view.part("save-note").textContent).toBe("Copied"));
  const text = write.mock.calls[0]![0];
  write.mockRestore();
  return text;
}

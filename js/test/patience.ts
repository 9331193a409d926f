/** What is waited for comes when it comes: on a busy machine later than in the second that is given by default. */
import { vi } from "vitest";
import { cdp } from "vitest/browser";

const { waitFor } = vi;

vi.waitFor = (callback, options = {}) =>
  waitFor(callback, typeof options === "number" ? options : { timeout: 10_000, ...options });

// Where tests that ran before this file left the pointer, something of this file would lie under it and be left again.
await cdp().send("Input.dispatchMouseEvent", { type: "mouseMoved", x: 0, y: 0 });

/** What is waited for comes when it comes: on a busy machine later than in the second that is given by default. */
import { vi } from "vitest";

const { waitFor } = vi;

vi.waitFor = (callback, options = {}) =>
  waitFor(callback, typeof options === "number" ? options : { timeout: 10_000, ...options });

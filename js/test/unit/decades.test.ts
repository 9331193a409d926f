import { describe, expect, it } from "vitest";
import { nextStop, placeOf, read, type Stop, shareOf, stepped, valueAt } from "../../src/controls/decades";

const FROM_ZERO = { from: 0.01, to: 100, zero: true };
const POSITIVE = { from: 0.01, to: 100, zero: false };
const STOPS: Stop[] = [0, 0.5, 1, 2, Math.sqrt(32)].map((value) => ({ value, label: String(value) }));

describe("a track of powers of ten", () => {
  it("has 1 in the middle and 0 at its left end", () => {
    expect(shareOf(POSITIVE, 1)).toBe(0.5);
    expect([0.01, 100, 1e-5, 1e5].map((value) => shareOf(POSITIVE, value))).toEqual([0, 1, 0, 1]);
    expect(shareOf(FROM_ZERO, 0)).toBe(0);
    expect(shareOf(FROM_ZERO, 0.01)).toBeGreaterThan(0);
    expect(valueAt(FROM_ZERO, placeOf(FROM_ZERO, 0))).toBe(0);
    expect(valueAt(POSITIVE, -2)).toBe(0.01);
  });

  it("gives three digits, and a stop's own number near it", () => {
    expect(valueAt(POSITIVE, 0.4)).toBe(2.51);
    expect(valueAt(POSITIVE, 0.02, STOPS)).toBe(1);
    expect(valueAt(POSITIVE, 0.75, STOPS)).toBe(Math.sqrt(32));
  });

  it("is walked from end to end by steps, through every stop, and back the same way", () => {
    const up = [0];
    while (up.at(-1)! < 100) up.push(stepped(FROM_ZERO, up.at(-1)!, 1, STOPS));
    expect(up.at(-1)).toBe(100);
    for (const { value } of STOPS) expect(up).toContain(value);
    const down = [100];
    while (down.at(-1)! > 0) down.push(stepped(FROM_ZERO, down.at(-1)!, -1, STOPS));
    expect(down.reverse()).toEqual(up);
    expect(stepped(FROM_ZERO, 0, -1, STOPS)).toBe(0);
    expect(stepped(POSITIVE, 0.01, -1, STOPS)).toBe(0.01);
  });

  it("is left by a typed number, which steps bring back", () => {
    expect(stepped(POSITIVE, 250, 1, STOPS)).toBe(250);
    expect(stepped(POSITIVE, 250, -1, STOPS)).toBeLessThan(250);
    expect(stepped(POSITIVE, 0.001, 1, STOPS)).toBe(0.01);
  });

  it("has stops to go to", () => {
    expect(nextStop(1.3, 1, STOPS)).toBe(2);
    expect(nextStop(1, -1, STOPS)).toBe(0.5);
    expect(nextStop(50, 1, STOPS)).toBe(50);
  });
});

describe("what is typed", () => {
  it.each([
    ["2.5", 2.5],
    [" 0,5 ", 0.5],
    ["1e-3", 0.001],
    ["1e6", 1e6],
  ])("%s is a number", (text, value) => {
    expect(read(text, false)).toBe(value);
  });

  it.each([
    ["", "“” is no number"],
    ["warm", "“warm” is no number"],
    ["NaN", "“NaN” is no number"],
    ["10^300", "“10^300” is no number"],
    ["1e300", "1e300 is too large: at most 1,000,000"],
    ["Infinity", "Infinity is too large: at most 1,000,000"],
    ["1e400", "1e400 is too large: at most 1,000,000"],
    ["1e-300", "1e-300 is too small: at least 0.000001"],
    ["0", "0: expected more than 0"],
    ["-1", "-1: expected more than 0"],
    ["−1", "−1: expected more than 0"],
    ["-Infinity", "-Infinity: expected more than 0"],
  ])("%s is refused with the reason", (text, why) => {
    expect(read(text, false)).toBe(why);
  });

  it("may be 0 where 0 means something", () => {
    expect([read("0", true), read("-0", true)]).toEqual([0, 0]);
    expect(read("-1", true)).toBe("-1: expected 0 or more");
  });
});

import { describe, expect, it } from "vitest";
import { colourTable, type Rgb } from "../../src/attention/colour";
import { Raster } from "../../src/attention/raster";
import { Temper, weightOf } from "../../src/attention/temper";
import type { Tile } from "../../src/attention/tile";
import { randomRows, tileFrom } from "./reference";

/** Red counts the weight, so that pixels can be read as numbers. */
const RED: Rgb[] = Array.from({ length: 256 }, (_, level) => [level, 0, 0]);
const table = colourTable(RED, 1, "linear");
const red = (pixel: number) => (pixel & 0xff) / 255;

const temper = (tile: Tile) => new Temper().run(tile, 1, 1);

const whole = (tile: Tile) => ({
  rows: { from: tile.rows[0], to: tile.rows[1] },
  columns: { from: tile.columns[0], to: tile.columns[1] },
});

describe("cells larger than pixels", () => {
  it("are one pixel each, masked ones transparent", () => {
    const tile = tileFrom(randomRows(1, 7, 9));
    const weights = temper(tile);
    const raster = new Raster();
    const picture = raster.paint(tile, weights, table, whole(tile), [70, 90]);
    expect([picture.height, picture.width]).toEqual([7, 9]);
    raster.pixels.forEach((pixel, cell) => {
      if (tile.codes[cell] === 65535) expect(pixel).toBe(0);
      else expect(red(pixel)).toBeCloseTo(weightOf(tile, weights, cell), 2);
    });
  });
});

describe("cells smaller than pixels", () => {
  it("show the strongest of each pixel and lose none", () => {
    const side = 97;
    const rows = Array.from({ length: side }, () => ({ logs: Array<number>(side).fill(-8), missing: 0 }));
    rows[41]!.logs[13] = -0.05;
    const tile = { ...tileFrom(rows, false), exact: false };
    const weights = temper(tile);
    for (const device of [10, 31, 50, 96]) {
      const raster = new Raster();
      const picture = raster.paint(tile, weights, table, whole(tile), [device, device]);
      expect([picture.height, picture.width]).toEqual([device, device]);
      const bright = [...raster.pixels.keys()].filter((pixel) => red(raster.pixels[pixel]!) > 0.5);
      expect(bright).toEqual([
        Math.floor((41.5 / side) * device) * device + Math.floor((13.5 / side) * device),
      ]);
    }
  });

  it("are masked only where all of them are", () => {
    const rows = [
      {
        logs: [Math.log(0.5), Math.log(0.5), Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY],
        missing: 0,
      },
      { logs: [0, Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY], missing: 0 },
    ];
    const tile = tileFrom(rows);
    const raster = new Raster();
    raster.paint(tile, temper(tile), table, whole(tile), [1, 2]);
    expect(red(raster.pixels[0]!)).toBe(1);
    expect(raster.pixels[1]).toBe(0);
  });

  it("cover only what is visible when zoomed", () => {
    const tile = tileFrom(randomRows(2, 64, 64));
    const raster = new Raster();
    const visible = { rows: { from: 10.5, to: 30.5 }, columns: { from: 0, to: 20 } };
    const picture = raster.paint(tile, temper(tile), table, visible, [10, 100]);
    expect(picture.rows).toEqual(visible.rows);
    expect(picture.columns).toEqual({ from: 0, to: 64 });
    expect([picture.height, picture.width]).toEqual([10, 64]);
  });

  it("of a tile that is pooled already keep their place", () => {
    const tile: Tile = {
      ...tileFrom(randomRows(3, 8, 8)),
      rows: [16, 32],
      columns: [0, 16],
      stride: [2, 2],
      exact: false,
    };
    const picture = new Raster().paint(tile, temper(tile), table, whole(tile), [80, 80]);
    expect(picture.rows).toEqual({ from: 16, to: 32 });
    expect(picture.columns).toEqual({ from: 0, to: 16 });
  });
});

/** What an image model saw: RGB, row by row. */
import { numbers } from "../attention/tile";
import { axisOf, imagesOf, type MapFacts } from "../host/facts";
import type { Question, Worth } from "./question";

export interface Picture {
  height: number;
  width: number;
  pixels: Uint8Array;
}

export type PictureAxis = "keys" | "queries";

/** One of the pictures of an axis, by its place among them. */
export const picture = (map: string, axis: PictureAxis, number = 0): Question<Picture> => ({
  name: `picture/${map}/${axis}/${number}`,
  body: { op: "picture", map, axis, number },
  worth: (before, after) => samePicture(axis, number, before, after),
  read({ header, buffers }) {
    const [height, width] = [Number(header.height), Number(header.width)];
    return { height, width, pixels: numbers(Uint8Array, buffers[0], height * width * 3, "picture") };
  },
});

/** A picture that is still the same need not come again. */
function samePicture(
  axis: PictureAxis,
  number: number,
  before: MapFacts | undefined,
  after: MapFacts | undefined,
): Worth {
  const [one, other] = [before, after].map((map) => map && imagesOf(axisOf(map, axis))[number]?.digest);
  return typeof other === "number" && one === other ? "same" : "none";
}

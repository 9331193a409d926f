/** What an image model saw: RGB, row by row. */
import { numbers } from "../attention/tile";
import { axisOf, type MapFacts } from "../host/facts";
import type { Question, Worth } from "./question";

export interface Picture {
  height: number;
  width: number;
  pixels: Uint8Array;
}

export type PictureAxis = "keys" | "queries";

export const picture = (map: string, axis: PictureAxis): Question<Picture> => ({
  name: `picture/${map}/${axis}`,
  body: { op: "picture", map, axis },
  worth: (before, after) => samePicture(axis, before, after),
  read({ header, buffers }) {
    const [height, width] = [Number(header.height), Number(header.width)];
    return { height, width, pixels: numbers(Uint8Array, buffers[0], height * width * 3, "picture") };
  },
});

/** A picture that is still the same need not come again. */
function samePicture(axis: PictureAxis, before: MapFacts | undefined, after: MapFacts | undefined): Worth {
  const [one, other] = [before, after].map((map) => map && axisOf(map, axis).image?.digest);
  return typeof other === "number" && one === other ? "same" : "none";
}

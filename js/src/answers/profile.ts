/** Mean entropy of every head of a layer, in nats. */
import { numbers } from "../attention/tile";
import { ofLayer, ofTheSameHeads, type Question } from "./question";

export interface Profile {
  entropy: Float32Array;
  /** What a head that looks everywhere alike would have. */
  uniform: number;
}

export const profile = (map: string, layer: number): Question<Profile> => ({
  ...ofLayer("profile", map, layer),
  worth: ofTheSameHeads,
  read: ({ header, buffers }) => ({
    entropy: numbers(Float32Array, buffers[0], Number(header.heads), "entropy"),
    uniform: Number(header.uniform),
  }),
});

/** The scenes there are, each a file; Python has their questions and numbers. */
import type { ComponentType } from "preact";
import type { Store } from "../store";
import { Heads } from "./heads";
import { Lookup } from "./lookup";
import { Masking } from "./masking";
import { Position } from "./position";
import { Scaling } from "./scaling";
import { Temperature } from "./temperature";
import { Values } from "./values";
import { Words } from "./words";

export interface SceneProps {
  store: Store;
  /** Of the widget, in CSS pixels. */
  width: number;
}

export const SCENES: Record<string, ComponentType<SceneProps>> = {
  lookup: Lookup,
  temperature: Temperature,
  scaling: Scaling,
  masking: Masking,
  position: Position,
  words: Words,
  heads: Heads,
  values: Values,
};

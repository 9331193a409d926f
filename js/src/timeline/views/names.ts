/** What layers, heads and runs are called, and their colours. */
import { paletteOf } from "../../attention/palette";
import type { MapTold } from "../choices";

export const layerNumber = (told: MapTold, layer: number): number => told.layer_numbers?.[layer] ?? layer;

export const headNumber = (told: MapTold, layer: number, head: number): number =>
  told.head_numbers?.[layer]?.[head] ?? head;

export const colourOfRun = (run: number, dark: boolean): string => paletteOf(dark)[run]!;

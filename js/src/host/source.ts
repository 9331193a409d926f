/** A source answers questions about maps: a kernel, or what was stored. Views cannot tell which. */
import type { Signal } from "@preact/signals";
import type { Bytes } from "../attention/tile";

export interface Reply {
  header: Record<string, unknown>;
  buffers: Bytes[];
}

/** How long the source has been silent: answered in time, not heard because the page stands still, busy, or perhaps gone. */
export type Patience = "calm" | "unheard" | "waiting" | "stalled";

/** Whether there is a source that has the maps: there is, there was, or there never was in this page. */
export type Link = "live" | "lost" | "absent";

/** Nobody wants the answer any more; not a failure. */
export class Withdrawn extends Error {}

export interface AskOptions {
  signal?: AbortSignal;
  /** Nobody waits for it in particular. */
  background?: boolean;
}

export interface Source {
  readonly patience: Signal<Patience>;
  readonly link: Signal<Link>;
  /** Whether the host says that its own line to the kernel is cut; it mends that itself. */
  readonly cut: Signal<boolean>;
  /** One question of a kind is outstanding; of those that wait, the newest is asked next, and the others withdrawn. */
  ask(kind: string, body: object, options?: AskOptions): Promise<Reply>;
  /** Forget what was never answered, so that a person can ask again. */
  retry(): void;
  close(): void;
}

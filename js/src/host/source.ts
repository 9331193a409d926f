/** A source answers questions about maps: a kernel, or what was stored. Views cannot tell which. */
import type { ReadonlySignal } from "@preact/signals";
import type { Bytes } from "../attention/tile";

export interface Reply {
  header: Record<string, unknown>;
  buffers: Bytes[];
}

/** How long the source has been silent: answered in time, not heard because the page stands still, busy, or perhaps gone. */
export type Patience = "calm" | "unheard" | "waiting" | "stalled";

/**
 * Who has the maps: a kernel; one that was there and is not any more; nobody here, or nobody but what was kept; or
 * this page itself, which never had a kernel.
 */
export type Link = "live" | "lost" | "absent" | "kept" | "page";

/** Nobody wants the answer any more; not a failure. */
export class Withdrawn extends Error {}

export interface AskOptions {
  signal?: AbortSignal;
  /** Nobody waits for it in particular. */
  background?: boolean;
  /** Told when a better answer comes after the one that was given. */
  later?: (reply: Reply) => void;
}

export interface Source {
  readonly patience: ReadonlySignal<Patience>;
  readonly link: ReadonlySignal<Link>;
  /** Whether the host says that its own line to the kernel is cut; it mends that itself. */
  readonly cut: ReadonlySignal<boolean>;
  /** For how many seconds nobody has answered, where that is worth a word. */
  readonly silence: ReadonlySignal<number | null>;
  /** Whether the host says that its kernel is busy: a sign of life. */
  readonly busy: ReadonlySignal<boolean>;
  /** The day on which stored answers were stored; empty where there are none. */
  readonly made: string;
  /** What of stored answers was left out, why, and how it is had; empty where nothing was. */
  readonly missing: string;
  /** An answer that is here already and that nobody could better. */
  atOnce(body: object): Reply | null;
  /** One question of a kind is outstanding; of those that wait, the newest is asked next, and the others withdrawn. */
  ask(kind: string, body: object, options?: AskOptions): Promise<Reply>;
  /** Forget what was never answered, so that a person can ask again. */
  retry(): void;
  close(): void;
}

/** The other of two heads that are compared: its tile and its row, for the same part of the map as that of the chosen one. */
import { batch, computed, effect, type Signal, signal, untracked } from "@preact/signals";
import { exactRow, type Wanted } from "../answers/tile";
import { type Facts, isWhole } from "../host/facts";
import { Withdrawn } from "../host/source";
import type { Chosen } from "./chosen";
import type { ShownTile, Store } from "./store";

export class Reference {
  /** Why it is not here. */
  readonly fault: Signal<string | null> = signal(null);
  readonly #store: Store;
  readonly #chosen: Chosen;
  readonly #here = signal("");
  #facts: Facts | null = null;
  readonly #asked = { tile: "", row: "" };
  readonly #wanted = computed(() => {
    const { other } = this.#store.places.value;
    return other && this.#chosen.want(other);
  });
  readonly #wantedRow = computed(() => {
    const { other } = this.#store.places.value;
    const query = this.#store.reading.value;
    return other && query !== null && !isWhole(other.facts) ? exactRow(other, query) : null;
  });
  readonly #life = new AbortController();
  readonly #stops: (() => void)[];

  constructor(store: Store, chosen: Chosen) {
    this.#store = store;
    this.#chosen = chosen;
    this.#stops = [
      effect(() => {
        store.facts.value;
        this.#follow(this.#wanted.value, "tile", store.otherTile);
      }),
      effect(() => {
        store.facts.value;
        this.#follow(this.#wantedRow.value, "row", store.otherRow);
      }),
    ];
  }

  close(): void {
    for (const stop of this.#stops) stop();
    this.#life.abort();
  }

  retry(): void {
    this.#forget();
    this.#follow(this.#wanted.value, "tile", this.#store.otherTile);
    this.#follow(this.#wantedRow.value, "row", this.#store.otherRow);
  }

  /** True where nothing is compared, and when the tile that is there is the one that was asked for last. */
  settled(): boolean {
    return (this.#wanted.value?.name ?? "") === this.#here.value;
  }

  #forget(): void {
    this.#asked.tile = "";
    this.#asked.row = "";
    batch(() => {
      this.fault.value = null;
      this.#here.value = "";
      this.#store.otherTile.value = null;
      this.#store.otherRow.value = null;
    });
  }

  #follow(wanted: Wanted | null, kind: "tile" | "row", into: Signal<ShownTile | null>): void {
    untracked(() => {
      const facts = this.#store.facts.peek();
      // Of other facts an equal question has another answer.
      if (facts !== this.#facts) this.#forget();
      this.#facts = facts;
      if (this.#asked[kind] === (wanted?.name ?? "")) return;
      this.#asked[kind] = wanted?.name ?? "";
      const show = (shown: ShownTile | null) => {
        if (this.#asked[kind] !== (wanted?.name ?? "")) return;
        batch(() => {
          into.value = shown;
          if (kind === "tile") this.#here.value = wanted?.name ?? "";
          this.fault.value = null;
        });
      };
      if (!wanted || !facts) {
        show(null);
        return;
      }
      const seen = this.#chosen.seen(wanted, facts);
      if (seen) {
        show(seen);
        return;
      }
      this.#chosen
        .fetched(wanted, `other ${kind}`, { signal: this.#life.signal }, (came) => {
          if (came.facts === this.#store.facts.peek()) show(came.shown);
        })
        .catch((reason) => {
          if (this.#asked[kind] !== wanted.name || reason instanceof Withdrawn) return;
          this.fault.value = reason instanceof Error ? reason.message : String(reason);
        });
    });
  }
}

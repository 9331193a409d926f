/** The keys, for whoever asked. */
import { useEffect, useRef } from "preact/hooks";
import { KEYS } from "../../keys";
import type { Store } from "../../store";

export function Keys({ store }: { store: Store }) {
  const close = useRef<HTMLButtonElement>(null);
  const shown = store.keysShown.value;
  useEffect(() => {
    if (shown) close.current?.focus({ preventScroll: true });
  }, [shown]);
  if (!shown) return null;
  return (
    <section class="keys" data-part="keys" aria-label="Keys">
      <dl>
        {KEYS.map(([keys, what]) => (
          <div key={keys}>
            <dt>
              {keys.split("  ").map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <button
        type="button"
        class="quiet"
        data-part="close-keys"
        ref={close}
        onKeyDown={(event) => {
          if (event.key !== "Escape") return;
          event.stopPropagation();
          store.keysShown.value = false;
        }}
        onClick={() => (store.keysShown.value = false)}
      >
        Close
      </button>
    </section>
  );
}

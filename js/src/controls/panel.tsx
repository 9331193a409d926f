/** A button that opens a small panel of controls below it; Escape, and a press outside, close it. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

interface Props {
  part: string;
  /** What is read out and shown under the pointer. */
  title: string;
  /** What the button shows. */
  face: ComponentChildren;
  /** What is chosen in it, for whoever looks from outside. */
  value?: string;
  /** Opened from elsewhere, as by a key, each time that this is another number above 0. */
  opened?: number;
  children: () => ComponentChildren;
}

export function Panel({ part, title, face, value, opened = 0, children }: Props) {
  const open = useSignal(false);
  const around = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);

  useEffect(() => {
    if (opened > 0) open.value = true;
  }, [opened]);

  useEffect(() => {
    if (!open.value) return;
    const first = around.current?.querySelector<HTMLElement>(
      ".popup :is(input, select, button, [tabindex='0'])",
    );
    first?.focus({ preventScroll: true });
    const press = (event: Event) => {
      if (around.current && !event.composedPath().includes(around.current)) open.value = false;
    };
    document.addEventListener("pointerdown", press, true);
    return () => document.removeEventListener("pointerdown", press, true);
  }, [open.value, opened]);

  function key(event: KeyboardEvent): void {
    if (event.key !== "Escape" || !open.value) return;
    button.current?.focus({ preventScroll: true });
    open.value = false;
    event.stopPropagation();
  }

  function leave({ currentTarget, relatedTarget }: FocusEvent): void {
    // Nobody has the focus while something that had it is replaced: only another holder closes the panel.
    if (relatedTarget && !(currentTarget as Element).contains(relatedTarget as Node)) open.value = false;
  }

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the keys are those of the button and the controls in it
    <div class="panel" ref={around} onKeyDown={key} onFocusOut={leave}>
      <button
        type="button"
        ref={button}
        data-part={part}
        data-value={value}
        title={title}
        aria-label={title}
        aria-haspopup="dialog"
        aria-expanded={open.value}
        onClick={() => (open.value = !open.value)}
      >
        {face}
      </button>
      {open.value && (
        <div class="popup" role="dialog" aria-label={title} data-part={`${part}-panel`}>
          {children()}
        </div>
      )}
    </div>
  );
}

/** A button that may have nothing to do: it says so and keeps the focus, which a disabled one would lose. */
import type { ComponentChildren } from "preact";

interface Props {
  part: string;
  class?: string;
  label?: string;
  /** Whether there is nothing to do. */
  idle: boolean;
  onClick: () => void;
  children: ComponentChildren;
}

export function Button({ part, class: name, label, idle, onClick, children }: Props) {
  return (
    <button
      type="button"
      class={name}
      data-part={part}
      aria-label={label}
      aria-disabled={idle}
      onClick={() => idle || onClick()}
    >
      {children}
    </button>
  );
}

/** A field for free text, with suggestions below it: what is typed holds once Enter is pressed or the field is left. */
import { useSignal } from "@preact/signals";
import { useId, useRef } from "preact/hooks";
import { readable } from "../drawing/words";

/** A text, and a note that stands beside it. */
export type Suggestion = readonly [text: string, note: string];

interface Props {
  label: string;
  part: string;
  value: string;
  /** What holds while nothing is typed. */
  placeholder: string;
  /** Whether that is a text of its own, and no word for nothing. */
  held?: boolean;
  options: readonly Suggestion[];
  disabled?: boolean;
  onChange: (text: string) => void;
}

const [NARROWEST, WIDEST] = [5, 16];

export function Suggesting(props: Props) {
  const { label, part, value, placeholder, held = false, options, disabled = false, onChange } = props;
  const typed = useSignal<string | null>(null);
  const open = useSignal(false);
  const at = useSignal(-1);
  const field = useRef<HTMLInputElement>(null);
  const entered = useRef(false);
  const list = useId();
  const shown = typed.value ?? value;
  const listed = open.value && !disabled && options.length > 0;

  function show(): void {
    open.value = true;
    at.value = -1;
  }

  function settle(text: string | null): void {
    open.value = false;
    typed.value = null;
    if (text !== null && text !== value) onChange(text);
  }

  function walk(by: number): void {
    if (!listed) show();
    else at.value = (at.value + by + options.length + (at.value < 0 && by < 0 ? 1 : 0)) % options.length;
    typed.value = options[at.value]?.[0] ?? typed.value;
  }

  function press(event: KeyboardEvent): void {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") walk(event.key === "ArrowDown" ? 1 : -1);
    else if (event.key === "Enter") settle(typed.value);
    else if (event.key === "Escape" && (listed || typed.value !== null)) settle(null);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  return (
    <label class="suggesting">
      <span class="hint">{label}</span>
      <span class="around">
        <input
          ref={field}
          data-part={part}
          role="combobox"
          aria-expanded={listed}
          aria-controls={list}
          aria-activedescendant={listed && at.value >= 0 ? `${list}-${at.value}` : undefined}
          aria-autocomplete="none"
          autocomplete="off"
          spellcheck={false}
          size={Math.min(WIDEST, Math.max(NARROWEST, (shown || placeholder).length))}
          value={shown}
          placeholder={placeholder}
          data-held={held}
          disabled={disabled}
          onFocus={(event) => {
            entered.current = true;
            event.currentTarget.select();
            show();
          }}
          onClick={(event) => {
            // The press that enters the field puts its cursor somewhere.
            if (entered.current) event.currentTarget.select();
            entered.current = false;
            show();
          }}
          onInput={(event) => {
            typed.value = event.currentTarget.value;
            show();
          }}
          onKeyDown={press}
          onBlur={() => settle(typed.value)}
        />
        <div
          class="suggestions"
          id={list}
          role="listbox"
          aria-label={label}
          data-part={`${part}-suggestions`}
          hidden={!listed}
        >
          {listed &&
            options.map(([text, note], index) => (
              // biome-ignore lint/a11y/useKeyWithClickEvents: the field has the focus, and its keys
              <div
                key={text}
                id={`${list}-${index}`}
                role="option"
                data-part={`${part}-option`}
                aria-selected={index === at.value}
                onPointerDown={(event) => event.preventDefault()}
                onClick={(event) => {
                  event.preventDefault();
                  settle(text);
                  field.current?.blur();
                }}
              >
                <bdi>{readable(text)}</bdi> <small>{note}</small>
              </div>
            ))}
        </div>
      </span>
    </label>
  );
}

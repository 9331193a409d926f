/** A button that opens a menu of things to do, by pointer and by keyboard. */
import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

export interface Action {
  part: string;
  label: string;
  /** What it would do it to, in smaller letters. */
  detail?: string;
  run: () => void;
}

interface Props {
  part: string;
  label: string;
  title: string;
  /** Groups of actions, with a line between them; looked for when the menu opens. */
  groups: () => readonly (readonly Action[])[];
  /** What came of the last one, said beside the button until a person goes on. */
  note: Signal<string>;
}

export function Actions({ part, label, title, groups, note }: Props) {
  const open = useSignal(false);
  const button = useRef<HTMLButtonElement>(null);
  const menu = useRef<HTMLDivElement>(null);
  const items = () => [...(menu.current?.querySelectorAll<HTMLElement>('[role="menuitem"]') ?? [])];

  useEffect(() => {
    if (open.value) items()[0]?.focus({ preventScroll: true });
  }, [open.value]);

  function close(): void {
    // Before the item that has the focus is gone.
    button.current?.focus({ preventScroll: true });
    open.value = false;
  }

  function press(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (!open.value) {
      if (event.key !== "ArrowDown") return;
      open.value = true;
    } else {
      const all = items();
      const at = all.indexOf(event.target as HTMLElement);
      const to = { ArrowDown: at + 1, ArrowUp: at < 0 ? -1 : at - 1, Home: 0, End: -1 }[event.key];
      // The next stop is the one after the button.
      if (event.key === "Tab") close();
      if (event.key === "Escape") close();
      else if (to !== undefined) all.at(to % all.length)?.focus();
      else return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  function leave({ currentTarget, relatedTarget }: FocusEvent): void {
    if ((currentTarget as Element).contains(relatedTarget as Node | null)) return;
    open.value = false;
    note.value = "";
  }

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the keys are those of the button and the items in it
    <div class="actions" onKeyDown={press} onFocusOut={leave}>
      <button
        type="button"
        ref={button}
        data-part={part}
        title={title}
        aria-haspopup="menu"
        aria-expanded={open.value}
        onClick={() => {
          note.value = "";
          open.value = !open.value;
        }}
      >
        {label}
      </button>
      {note.value && !open.value && (
        <span class="noted" data-part={`${part}-note`} aria-hidden="true">
          {note.value}
        </span>
      )}
      {open.value && (
        <div class="popup" ref={menu} role="menu" aria-label={title} data-part={`${part}-menu`}>
          {groups()
            .filter((group) => group.length > 0)
            .map((group) => (
              <div class="group" role="group" key={group[0]!.part}>
                {group.map((action) => (
                  <button
                    type="button"
                    role="menuitem"
                    key={action.part}
                    data-part={action.part}
                    tabIndex={-1}
                    // Some browsers give no focus to what is clicked: the menu would close before the click.
                    onMouseDown={(event) => event.preventDefault()}
                    onClick={() => {
                      close();
                      action.run();
                    }}
                  >
                    {action.label}
                    {action.detail && <small>{action.detail}</small>}
                  </button>
                ))}
              </div>
            ))}
        </div>
      )}
    </div>
  );
}

/** A number turned by powers of ten: a track, the usual stops below it, and a field for any other. */
import { useSignal } from "@preact/signals";
import { written } from "../drawing/words";
import { ends, nextStop, placeOf, read, type Stop, shareOf, stepped, valueAt } from "./decades";

interface Props {
  label: string;
  part: string;
  value: number;
  /** The ends of the track; the field takes numbers beyond them. */
  from?: number;
  to?: number;
  /** Whether 0 can be chosen. */
  zero?: boolean;
  stops?: readonly Stop[];
  disabled?: boolean;
  onChange: (value: number) => void;
  /** A drag is over, or a number was chosen at once. */
  onEnd?: () => void;
}

/** What was chosen may be a stop's number rounded on its way. */
const isAt = (value: number, stop: number): boolean => Math.abs(value - stop) <= 1e-9 * stop;

export function Dial(props: Props) {
  const { label, part, value, from = 0.01, to = 100, zero = false, stops = [], onChange, onEnd } = props;
  const { disabled = false } = props;
  const track = { from, to, zero };
  /** What is being typed; and why the last of it was refused, which is said as long as the number stays. */
  const draft = useSignal<string | null>(null);
  const refusal = useSignal<{ why: string; stays: number } | null>(null);
  const refused = refusal.value?.stays === value ? refusal.value.why : "";
  const [first, last] = ends(track);
  const text = written(value);

  function choose(chosen: number): void {
    draft.value = null;
    refusal.value = null;
    if (chosen !== value) onChange(chosen);
  }

  function chooseAtOnce(chosen: number): void {
    onEnd?.();
    choose(chosen);
    onEnd?.();
  }

  function turn(input: HTMLInputElement): void {
    const chosen = valueAt(track, input.valueAsNumber, stops);
    // A stop that draws the hand has the thumb too.
    input.value = String(placeOf(track, chosen));
    choose(chosen);
  }

  function press(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const next = {
      ArrowRight: () => stepped(track, value, 1, stops),
      ArrowUp: () => stepped(track, value, 1, stops),
      ArrowLeft: () => stepped(track, value, -1, stops),
      ArrowDown: () => stepped(track, value, -1, stops),
      PageUp: () => nextStop(value, 1, stops),
      PageDown: () => nextStop(value, -1, stops),
      Home: () => (zero ? 0 : from),
      End: () => to,
    }[event.key];
    if (!next) return;
    event.preventDefault();
    choose(next());
  }

  function apply(): void {
    if (draft.value === null || draft.value.trim() === text) {
      draft.value = null;
      return;
    }
    const typed = read(draft.value, zero);
    if (typeof typed === "number") chooseAtOnce(typed);
    else {
      draft.value = null;
      refusal.value = { why: `${typed}; ${text} stays.`, stays: value };
    }
  }

  function type(event: KeyboardEvent): void {
    if (event.key === "Enter") apply();
    if (event.key !== "Escape") return;
    draft.value = null;
    refusal.value = null;
  }

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the host's own shortcuts must not see any key of these
    <div class="dial" data-disabled={disabled} onKeyDown={(event) => event.stopPropagation()}>
      <span class="label" aria-hidden="true">
        {label}
      </span>
      <input
        class="typed"
        type="text"
        inputMode="decimal"
        autoComplete="off"
        spellcheck={false}
        data-part={`${part}-field`}
        aria-label={`${label} as a number`}
        aria-invalid={refused !== ""}
        disabled={disabled}
        value={draft.value ?? text}
        onFocus={(event) => event.currentTarget.select()}
        onInput={(event) => {
          draft.value = event.currentTarget.value;
          refusal.value = null;
        }}
        onBlur={apply}
        onKeyDown={type}
      />
      {refused && (
        <p class="refused" role="alert" data-part={`${part}-refused`}>
          {refused}
        </p>
      )}
      <div class="turning">
        <input
          type="range"
          data-part={part}
          aria-label={label}
          aria-valuetext={text}
          title={stops.length > 0 ? "Arrows turn it, Page Up and Page Down go from stop to stop" : undefined}
          min={first}
          max={last}
          step="any"
          disabled={disabled}
          value={placeOf(track, value)}
          onInput={(event) => turn(event.currentTarget)}
          onKeyDown={press}
          onChange={onEnd}
          onBlur={onEnd}
        />
        {stops.map((stop) => (
          <button
            type="button"
            class="stop"
            key={stop.label}
            data-part={`${part}-stop`}
            data-value={stop.value}
            title={stop.title}
            aria-label={`${label} ${stop.title ?? stop.label}`}
            aria-pressed={isAt(value, stop.value)}
            // Page Up and Page Down reach them from the track.
            tabIndex={-1}
            disabled={disabled}
            style={{ "--at": shareOf(track, stop.value) }}
            onClick={() => chooseAtOnce(stop.value)}
          >
            {stop.label}
          </button>
        ))}
      </div>
    </div>
  );
}

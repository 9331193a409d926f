/** A native range with its value beside it. */
interface Props {
  label: string;
  part: string;
  value: number;
  text: string;
  min: number;
  max: number;
  step: number;
  disabled?: boolean;
  onInput: (value: number) => void;
}

export function Slider({ label, part, value, text, min, max, step, disabled = false, onInput }: Props) {
  return (
    <label class="slider" data-disabled={disabled}>
      <span>{label}</span>
      <input
        type="range"
        data-part={part}
        min={min}
        max={max}
        step={step}
        disabled={disabled}
        value={value}
        aria-valuetext={text}
        onInput={(event) => onInput(event.currentTarget.valueAsNumber)}
        // The host's own shortcuts must not see the arrow keys.
        onKeyDown={(event) => event.stopPropagation()}
      />
      <output>{text}</output>
    </label>
  );
}

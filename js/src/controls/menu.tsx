/** A small labelled choice among few. */
type Options<T extends string> = readonly (readonly [T, string])[];

interface MenuProps<T extends string> {
  label: string;
  part: string;
  value: T;
  options: Options<T>;
  /** More of them, each group under a heading of its own. */
  groups?: readonly { label: string; options: Options<T> }[];
  title?: string;
  /** The choices speak for themselves: the label is only read out. */
  bare?: boolean;
  disabled?: boolean;
  onChange: (value: T) => void;
}

export function Menu<T extends string>(props: MenuProps<T>) {
  const { label, part, value, options, groups = [], title, bare, disabled = false, onChange } = props;
  const option = ([name, text]: readonly [T, string]) => (
    <option key={name} value={name} selected={name === value}>
      {text}
    </option>
  );
  return (
    <label class="menu" title={title}>
      <span class={bare ? "spoken" : ""}>{label}</span>
      <select
        data-part={part}
        value={value}
        disabled={disabled}
        onChange={(event) => onChange(event.currentTarget.value as T)}
      >
        {options.map(option)}
        {groups.map((group) => (
          <optgroup key={group.label} label={group.label}>
            {group.options.map(option)}
          </optgroup>
        ))}
      </select>
    </label>
  );
}

interface SegmentsProps<T extends string> {
  label: string;
  part: string;
  value: T;
  options: readonly (readonly [T, string])[];
  onChange: (value: T) => void;
}

export function Segments<T extends string>({ label, part, value, options, onChange }: SegmentsProps<T>) {
  return (
    <div class="segments" role="group" aria-label={label}>
      {options.map(([name, text]) => (
        <button
          type="button"
          key={name}
          data-part={`${part}-${name}`}
          aria-pressed={name === value}
          onClick={() => onChange(name)}
        >
          {text}
        </button>
      ))}
    </div>
  );
}

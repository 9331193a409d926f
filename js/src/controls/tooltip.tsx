/** Lines beside what is under the pointer or the cursor. */

interface Props {
  lines: readonly string[];
  left: number;
  top: number;
  /** On which side of its place it opens. */
  before: boolean;
  above: boolean;
}

export function Tooltip({ lines, left, top, before, above }: Props) {
  const style = {
    left: `${left}px`,
    top: `${top}px`,
    transform: `translate(${before ? "-100%" : "0"}, ${above ? "-100%" : "0"})`,
  };
  return (
    <div class="tooltip" data-part="tooltip" style={style} aria-hidden="true">
      {lines.map((line, at) => (
        <div key={at}>{line}</div>
      ))}
    </div>
  );
}

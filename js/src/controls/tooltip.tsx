/** Lines beside what is under the pointer or the cursor. */

interface Props {
  lines: readonly string[];
  left: number;
  top: number;
  /** On which side of its place it opens. */
  before: boolean;
  above: boolean;
  /** How wide it may be, where that is little. */
  room?: number;
}

const WIDEST = 280;
const NARROWEST = 140;

export function Tooltip({ lines, left, top, before, above, room = WIDEST }: Props) {
  const style = {
    left: `${left}px`,
    top: `${top}px`,
    "max-inline-size": `${Math.min(WIDEST, Math.max(NARROWEST, room))}px`,
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

/** What could not leave by itself, to be taken by hand. */
import { useEffect, useRef } from "preact/hooks";

interface Props {
  sentence: string;
  /** The text itself; or the address of a picture. */
  text?: string | undefined;
  image?: string | undefined;
  onClose: () => void;
}

export function Handed({ sentence, text, image, onClose }: Props) {
  const box = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    box.current?.focus({ preventScroll: true });
    box.current?.select();
  }, [text]);

  function press(event: KeyboardEvent): void {
    if (event.key === "Escape") onClose();
    // The host's own shortcuts must not see what is pressed here.
    event.stopPropagation();
  }

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Escape closes it from all that is in it
    <div class="handed" data-part="handed" onKeyDown={press}>
      <p role="alert">{sentence}</p>
      {text !== undefined && (
        <textarea
          ref={box}
          data-part="handed-text"
          readOnly
          rows={6}
          aria-label="What was to leave"
          value={text}
        />
      )}
      {image && <img data-part="handed-image" src={image} alt="What was to leave" />}
      <button type="button" class="quiet" data-part="handed-close" onClick={onClose}>
        Close
      </button>
    </div>
  );
}

/** What could not be shown, in its own place, and the way to ask again. */
interface Props {
  sentence: string;
  onRetry: () => void;
}

export function Fault({ sentence, onRetry }: Props) {
  return (
    <div class="fault" role="alert">
      <p>{sentence}</p>
      <button type="button" class="quiet" data-part="retry" onClick={onRetry}>
        Try again
      </button>
    </div>
  );
}

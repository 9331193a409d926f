/** In one line: how far the distributions are apart, and what became of the loss. */
import { exact, signed } from "../../../drawing/words";
import type { Outcome } from "../../applying";

export function Sums({ outcome }: { outcome: Outcome }) {
  const { kl, loss, ms } = outcome;
  return (
    <p class="sums" data-part="sums" aria-live="polite" data-kl={kl} data-loss={loss?.[1]}>
      {kl != null && (
        <span title="How far the next token's distribution is from what it was: KL divergence">
          KL <b>{exact(kl)}</b> nats
        </span>
      )}
      {loss && (
        <span title="Mean loss of the text's tokens">
          loss {exact(loss[0])} → {exact(loss[1])} nats (<b>{signed(loss[1] - loss[0])}</b>)
        </span>
      )}
      {ms !== undefined && <span>{ms} ms</span>}
    </p>
  );
}

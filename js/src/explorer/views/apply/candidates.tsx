/** The next token before and after: two thin bars and two numbers a token, as a table that can be read. */
import { exact, readable, shortened } from "../../../drawing/words";
import type { Outcome } from "../../applying";

const LONGEST = 16;

export function Candidates({ outcome }: { outcome: Outcome }) {
  const { candidates = [] } = outcome;
  if (candidates.length === 0) {
    return (
      <p class="hint" data-part="no-next">
        This model predicts no next token: what becomes of its maps is shown.
      </p>
    );
  }
  return (
    <table class="candidates" data-part="candidates">
      <caption class="spoken">The next token, as it is and changed</caption>
      <thead>
        <tr>
          <th scope="col" colSpan={2}>
            Next token
          </th>
          <th scope="col">
            <i class="swatch was" /> as it is
          </th>
          <th scope="col">
            <i class="swatch now" /> changed
          </th>
        </tr>
      </thead>
      <tbody>
        {candidates.map(([token, before, after]) => (
          <tr key={token} data-part="candidate" data-token={token} data-before={before} data-after={after}>
            <th scope="row" title={readable(token)}>
              <bdi>{shortened(readable(token), LONGEST)}</bdi>
            </th>
            <td class="thin" aria-hidden="true">
              <i class="was" style={{ "--share": before }} />
              <i class="now" style={{ "--share": after }} />
            </td>
            <td>{exact(before)}</td>
            <td>{exact(after)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** What is unusual in the map: each finding a line, with the way to where it is and, opened, what it rests on. */
import { useSignal } from "@preact/signals";
import { type Finding, findings as findingsOf, SEVERITIES, vitals } from "../../answers/findings";
import type { Question } from "../../answers/question";
import { Fault } from "../../controls/fault";
import { shortName, spokenName } from "../../drawing/naming";
import { layerNumber, type MapFacts } from "../../host/facts";
import type { Answers } from "../answers";
import { chosenFirst, type Store } from "../store";
import { Mark } from "./mark";

/** More places than this are shown on request. */
const FEW = 5;

interface Props {
  store: Store;
  answers: Answers;
  /** Whether it is open before anybody has said. */
  open: boolean;
}

export function* needs(store: Store, map: MapFacts): Generator<Question<unknown>> {
  if (!map.diagnosed) return;
  for (const layer of chosenFirst(store, map)) yield vitals(map.name, layer);
  yield findingsOf(map.name);
}

export function FindingsView({ store, answers, open }: Props) {
  const said = store.openFindings;
  const map = store.map.value;
  if (!map?.diagnosed) return null;
  const asked = findingsOf(map.name);
  const fault = answers.known.fault(asked);
  const answer = answers.known.get(asked);
  const findings = answer?.findings ?? [];
  const healthy = answer !== undefined && findings.length === 0;
  const shown = said.value ?? open;
  return (
    <section class="findings" data-part="findings" data-open={shown} data-healthy={healthy}>
      <h3>
        <button type="button" class="disclosure" aria-expanded={shown} onClick={() => (said.value = !shown)}>
          Findings
        </button>
        {answer === undefined && fault === null && <small>looking …</small>}
        {healthy && !shown && <small>none</small>}
        {SEVERITIES.map((severity) => {
          const count = findings.filter((finding) => finding.severity === severity).length;
          return count > 0 && <Mark key={severity} severity={severity} count={count} />;
        })}
      </h3>
      {shown && (
        <div class="list">
          {fault !== null && <Fault sentence={fault} onRetry={() => answers.retry()} />}
          {healthy && <p class="hint">{answer.healthy}</p>}
          {findings.length > 0 && (
            <p class="hint">
              What is unusual about this attention: it is about the model, not about this widget.
            </p>
          )}
          {findings.length > 0 && (
            <ul>
              {findings.map((finding, at) => (
                <Item key={`${map.name}/${at}/${finding.name}`} store={store} map={map} finding={finding} />
              ))}
            </ul>
          )}
        </div>
      )}
    </section>
  );
}

interface ItemProps {
  store: Store;
  map: MapFacts;
  finding: Finding;
}

function Item({ store, map, finding }: ItemProps) {
  const open = useSignal(false);
  return (
    <li data-part="finding" data-name={finding.name} data-severity={finding.severity}>
      <div class="headline">
        <button
          type="button"
          class="disclosure"
          aria-expanded={open.value}
          onClick={() => (open.value = !open.value)}
        >
          <Mark severity={finding.severity} />
          <span>{finding.title}</span>
        </button>
        <Places store={store} map={map} places={finding.places} />
      </div>
      {open.value && <Detail finding={finding} />}
    </li>
  );
}

function Places({ store, map, places }: { store: Store; map: MapFacts; places: Finding["places"] }) {
  const all = useSignal(false);
  if (places.length === 0) return null;

  function go(layer: number, head: number | null): void {
    const last = (map.heads[layer] ?? 1) - 1;
    store.select(layer, Math.min(head ?? store.head.peek(), last));
  }

  const isHere = (layer: number, head: number | null) =>
    layer === store.layer.value && (head === null || head === store.head.value);
  return (
    <span class="places">
      {(all.value ? places : places.slice(0, FEW)).map(([layer, head]) => (
        <button
          type="button"
          key={`${layer}/${head}`}
          data-part="finding-place"
          data-layer={layer}
          data-head={head ?? ""}
          aria-current={isHere(layer, head)}
          aria-label={head === null ? `Layer ${layerNumber(map, layer)}` : spokenName(map, layer, head)}
          onClick={() => go(layer, head)}
        >
          {shortName(map, layer, head)}
        </button>
      ))}
      {places.length > FEW && (
        <button
          type="button"
          class="more"
          aria-expanded={all.value}
          aria-label={all.value ? "Fewer places" : `${places.length - FEW} more places`}
          onClick={() => (all.value = !all.value)}
        >
          {all.value ? "fewer" : `+${places.length - FEW}`}
        </button>
      )}
    </span>
  );
}

function Detail({ finding: { sentence, evidence, causes, remedies } }: { finding: Finding }) {
  return (
    <div class="detail">
      <p>{sentence}</p>
      {evidence.length > 0 && (
        <table>
          <thead>
            <tr>
              <td />
              <th scope="col">measured</th>
              <th scope="col">healthy</th>
            </tr>
          </thead>
          <tbody>
            {evidence.map(([label, value, healthy]) => (
              <tr key={label}>
                <th scope="row">{label}</th>
                <td>{value}</td>
                <td>{healthy}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <Lines title="Likely causes" lines={causes} />
      <Lines title="What to try" lines={remedies} />
    </div>
  );
}

function Lines({ title, lines }: { title: string; lines: string[] }) {
  if (lines.length === 0) return null;
  return (
    <>
      <h4>{title}</h4>
      <ul>
        {lines.map((line) => (
          <li key={line}>{line}</li>
        ))}
      </ul>
    </>
  );
}

/** Several heads over one sentence: what each looks at, side by side, and what the output projection makes of it. */
import { HEADS, type HeadKind } from "../../attention/steps";
import { Button } from "../../controls/button";
import { Menu } from "../../controls/menu";
import { Vectors } from "../machine";
import { Temperature } from "../sharpness";
import { NumberTable } from "../table";
import type { SceneProps } from "./table";

const NAMES: Record<HeadKind, string> = {
  previous: "previous token",
  first: "first token",
  same: "same word",
  content: "content",
};

export function Heads({ store }: SceneProps) {
  const { traits } = store;
  const heads = traits.heads.value;
  if (heads.length === 0) return null;
  const made = store.heads.value;
  const { concatenated, output } = store.mixed.value;
  const labels = traits.key.value.map((_, at) => store.label("key", at));
  const width = traits.value.value[0]?.length ?? 1;
  const limit = traits.facts.value!.limits.heads;
  const locked = store.isLocked("heads");
  const change = (next: readonly HeadKind[]) =>
    store.change({ heads: next, ...(next.length !== heads.length && { mixing: [] }) });
  const names = heads.flatMap((_, head) => Array.from({ length: width }, (_, at) => `${head}.${at}`));
  return (
    <>
      <div class="controls">
        <span class="stepper">
          <Button
            part="heads-less"
            class="quiet"
            label="One head less"
            idle={locked || heads.length <= 1}
            onClick={() => change(heads.slice(0, -1))}
          >
            −
          </Button>
          <span data-part="head-count">
            {heads.length} head{heads.length === 1 ? "" : "s"}
          </span>
          <Button
            part="heads-more"
            class="quiet"
            label="One head more"
            idle={locked || heads.length >= limit}
            onClick={() => change([...heads, HEADS[heads.length % HEADS.length]!])}
          >
            +
          </Button>
        </span>
        <Temperature store={store} />
      </div>
      <div class="flow heads">
        {heads.map((kind, head) => (
          <NumberTable
            key={head}
            store={store}
            step="weights"
            part={`head-${head}`}
            head={head}
            title={
              <Menu
                label={`Head ${head}`}
                part={`kind-${head}`}
                value={kind}
                options={HEADS.map((name) => [name, NAMES[name]] as const)}
                disabled={locked}
                onChange={(next) => change(heads.map((old, at) => (at === head ? next : old)))}
              />
            }
            rows={made[head]!.weights}
            rowLabels={labels}
            columnLabels={labels}
            scale="weight"
            hidden={(row, column) => !made[head]!.visible[row]![column]}
          />
        ))}
      </div>
      <p class="equation">output = [ head 0 | head 1 | … ] W</p>
      <div class="flow">
        <NumberTable
          store={store}
          step="concatenated"
          title={
            <>
              <b>Heads side by side</b>
              <small>each weights × values</small>
            </>
          }
          rows={concatenated}
          rowLabels={labels}
          columnLabels={names}
          scale="signed"
          groups={width}
        />
        <NumberTable
          store={store}
          step="mixing"
          title={
            <>
              <b>Output projection W</b>
              <small>{traits.mixing.value.length === 0 ? "the mean of the heads" : ""}</small>
            </>
          }
          rows={store.mixing.value}
          rowLabels={names}
          columnLabels={null}
          scale="signed"
          edit={{
            locked: store.isLocked("mixing"),
            onChange: (rows, gesture) => store.setTable("mixing", rows, gesture),
          }}
        />
        <NumberTable
          store={store}
          step="mixed"
          title={<b>Output</b>}
          rows={output}
          rowLabels={labels}
          columnLabels={null}
          scale="signed"
        />
      </div>
      <div class="inputs">
        <Vectors store={store} step="query" />
        <Vectors store={store} step="key" />
        <Vectors store={store} step="value" />
      </div>
    </>
  );
}

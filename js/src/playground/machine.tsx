/** The tables in the order of the formula: what goes in, what follows, what comes out. */
import { rangesOf } from "../attention/steps";
import { MaskTable } from "./mask";
import { chosenText } from "./numbers";
import { Stepper } from "./stepper";
import type { Step, Store } from "./store";
import { NumberTable } from "./table";

const ALL: readonly Step[] = ["query", "key", "value", "scores", "scaled", "mask", "weights", "output"];

/** Tables that a scene leaves out. */
export function Machine({ store, without = [] }: { store: Store; without?: readonly Step[] }) {
  const shown = ALL.filter((step) => !without.includes(step));
  return (
    <div class="machine">
      <div class="inputs">
        {shown.includes("query") && <Vectors store={store} step="query" />}
        {shown.includes("key") && <Vectors store={store} step="key" />}
        {shown.includes("value") && <Vectors store={store} step="value" />}
      </div>
      <div class="flow">
        {shown.includes("scores") && <Scores store={store} />}
        {shown.includes("scaled") && <Scaled store={store} />}
        {shown.includes("mask") && <MaskTable store={store} />}
        {shown.includes("weights") && <Weights store={store} />}
        {shown.includes("output") && <Output store={store} />}
      </div>
    </div>
  );
}

const TITLES = { query: "Queries", key: "Keys", value: "Values" } as const;

/** One of the three tables that can be changed. */
export function Vectors({ store, step }: { store: Store; step: "query" | "key" | "value" }) {
  const scene = store.scene.value;
  const tied = scene?.tied ?? false;
  const rows = store.traits[step].value;
  const axis = step === "query" ? "query" : "key";
  const tokens = scene?.paired ? "tokens" : step === "query" ? "queries" : "keys";
  const title = (
    <>
      <b>{tied ? "Words" : TITLES[step]}</b>
      {step !== "value" && (step === "key" || !scene?.paired || tied) && (
        <Stepper store={store} axis={tokens} label={tokens} />
      )}
      {step === "query" && !tied && <Stepper store={store} axis="width" label="numbers each" />}
      {step === "value" && !tied && <Stepper store={store} axis="values" label="numbers each" />}
    </>
  );
  return (
    <NumberTable
      store={store}
      step={step}
      title={title}
      rows={rows}
      rowLabels={rows.map((_, at) => store.label(axis, at))}
      columnLabels={null}
      scale="signed"
      edit={{
        locked: store.isLocked(step),
        onChange: (changed, gesture) => store.setTable(step, changed, gesture),
      }}
      {...(step === "query" && { onRow: (row: number) => store.choose(row), chosenRow: store.row.value })}
    />
  );
}

const labelsOf = (store: Store, axis: "query" | "key") =>
  store.traits[axis].value.map((_, at) => store.label(axis, at));

export function Scores({ store }: { store: Store }) {
  return (
    <NumberTable
      store={store}
      step="scores"
      title={<b>Scores</b>}
      rows={store.steps.value.scores}
      rowLabels={labelsOf(store, "query")}
      columnLabels={labelsOf(store, "key")}
      scale="signed"
    />
  );
}

export function Scaled({ store }: { store: Store }) {
  const { scaling, temperature, query } = store.traits;
  const width = query.value[0]?.length ?? 0;
  const parts = [
    scaling.value === null ? `/ √${width}` : scaling.value === 1 ? "" : `× ${chosenText(scaling.value)}`,
    temperature.value === 1 ? "" : `/ ${chosenText(temperature.value)}`,
  ].filter(Boolean);
  return (
    <NumberTable
      store={store}
      step="scaled"
      title={
        <>
          <b>Scaled</b>
          <small>{parts.join(" ") || "× 1"}</small>
        </>
      }
      rows={store.steps.value.scaled}
      rowLabels={labelsOf(store, "query")}
      columnLabels={labelsOf(store, "key")}
      scale="signed"
    />
  );
}

export function Weights({ store }: { store: Store }) {
  const { weights, visible, entropy } = store.steps.value;
  const most = rangesOf(visible)[store.row.value]!;
  const own = entropy[store.row.value]!;
  return (
    <NumberTable
      store={store}
      step="weights"
      title={
        <>
          <b>Weights</b>
          <small>
            {store.isVeiled("entropy")
              ? "to be guessed"
              : Number.isNaN(own)
                ? "a row that sees nothing"
                : `entropy of “${store.label("query", store.row.value)}” ${own.toFixed(2)} of ${most.toFixed(2)} nats`}
          </small>
        </>
      }
      rows={weights}
      rowLabels={labelsOf(store, "query")}
      columnLabels={labelsOf(store, "key")}
      scale="weight"
      hidden={(row, column) => !visible[row]![column]}
    />
  );
}

export function Output({ store }: { store: Store }) {
  return (
    <NumberTable
      store={store}
      step="output"
      title={<b>Output</b>}
      rows={store.steps.value.output}
      rowLabels={labelsOf(store, "query")}
      columnLabels={null}
      scale="signed"
    />
  );
}

/** What leaves a Playground: the code that opens it again, and its numbers as a table. */
import { useSignal } from "@preact/signals";
import type { Steps } from "../attention/steps";
import { Actions } from "../controls/actions";
import { Handed } from "../controls/handed";
import { field } from "../explorer/saving/csv";
import { copied } from "../host/out";
import { literal } from "../host/python";
import { NUMBERS, type Numbers } from "./choices";
import type { Store } from "./store";

export function Taking({ store }: { store: Store }) {
  const note = useSignal("");
  const handed = useSignal<{ sentence: string; text: string } | null>(null);

  async function take(what: string, text: string): Promise<void> {
    if (await copied(text)) note.value = `${what} copied`;
    else handed.value = { sentence: "This page may not write to the clipboard: copy it from here.", text };
  }

  const weights = {
    part: "copy-weights",
    label: "Weights",
    detail: "for a spreadsheet",
    run: () => take("Weights", weightsOf(store)),
  };

  return (
    <>
      <Actions
        part="take"
        label="Copy"
        title="What leaves this playground"
        note={note}
        groups={() => [
          [
            {
              part: "copy-code",
              label: "Code",
              detail: "for Python",
              run: () => take("Code", codeOf(store)),
            },
            ...(hasWeights(store) ? [weights] : []),
          ],
        ]}
      />
      {handed.value && <Handed {...handed.value} onClose={() => (handed.value = null)} />}
    </>
  );
}

export function codeOf(store: Store): string {
  const [scene, preset] = [store.scene.value!, store.preset.value!];
  const changed = (Object.keys(NUMBERS) as (keyof Numbers)[]).filter(
    (name) => JSON.stringify(store.traits[name].value) !== JSON.stringify(preset.state[name]),
  );
  const given = [
    literal(scene.name),
    ...(preset === scene.presets[0] ? [] : [`preset=${literal(preset.name)}`]),
    ...changed
      .filter((name) => !scene.tied || (name !== "key" && name !== "value"))
      .map((name) => `${name}=${literal(store.traits[name].value)}`),
  ];
  return `aw.Playground(${given.join(", ")})`;
}

/** Whether there are weights of these numbers, and a lesson does not still ask for them. */
const hasWeights = (store: Store): boolean =>
  store.traits.query.value.length > 0 && !store.isVeiled("weights");

/** A table of tabs; of several heads one below another, each row with its head before it. */
export function weightsOf(store: Store): string {
  const heads = store.traits.scene.value === "heads" ? store.heads.value : [];
  const name = (axis: "query" | "key", at: number) => field(store.label(axis, at).replaceAll("\t", " "));
  const keys = store.traits.key.value.map((_, at) => name("key", at));
  const rows = ({ weights }: Steps) => weights.map((row, at) => [name("query", at), ...row]);
  const lines =
    heads.length > 0
      ? [["head", "", ...keys], ...heads.flatMap((one, head) => rows(one).map((row) => [head, ...row]))]
      : [["", ...keys], ...rows(store.steps.value)];
  return lines.map((line) => line.join("\t")).join("\n");
}

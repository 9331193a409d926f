/** A Playground from top to bottom: its scene, the question, the formula, the numbers, and what the scene shows of them. */
import { useMemo, useRef } from "preact/hooks";
import { Button } from "../controls/button";
import { Menu } from "../controls/menu";
import { useWidth } from "../drawing/canvas";
import { LessonCard } from "../lesson/card";
import { askingOf } from "./asking";
import { explain } from "./explain";
import { SCENES } from "./scenes/table";
import type { Store } from "./store";
import { Taking } from "./taking";

/** Below this, tables stand under each other. */
const NARROW = 760;

export function Layout({ store }: { store: Store }) {
  const ruler = useRef<HTMLDivElement>(null);
  const width = useWidth(ruler);
  const { traits } = store;
  const facts = traits.facts.value;
  const scene = store.scene.value;
  const preset = store.preset.value;
  const Scene = SCENES[traits.scene.value];
  const asking = useMemo(() => askingOf(store), [store]);
  if (!facts || !scene || !preset || !Scene) return <div class="layout" />;
  // Another scene would be another question.
  const fixed = store.isLocked("scene") || store.lesson.hidden.value;
  return (
    <div class="layout" data-shape={width.value < NARROW ? "narrow" : "wide"}>
      <div class="ruler" ref={ruler} />
      <header class="toolbar">
        {!fixed && (
          <div class="menus">
            <Menu
              label="Scene"
              part="scene"
              value={scene.name}
              options={facts.scenes.map(({ name, title }) => [name, `${name}: ${title}`] as const)}
              onChange={(name) => store.open(facts.scenes.find((one) => one.name === name)!)}
            />
            <Menu
              label="Numbers"
              part="preset"
              value={preset.name}
              options={scene.presets.map(({ name }) => [name, name] as const)}
              onChange={(name) =>
                store.open(
                  scene,
                  scene.presets.find((one) => one.name === name),
                )
              }
            />
          </div>
        )}
        <div class="tools">
          <Button part="undo" class="quiet" idle={!store.canUndo.value} onClick={() => store.undo()}>
            Undo
          </Button>
          <Button part="redo" class="quiet" idle={!store.canRedo.value} onClick={() => store.redo()}>
            Redo
          </Button>
          <Button part="reset" class="quiet" idle={!store.isChanged.value} onClick={() => store.reset()}>
            Reset
          </Button>
          <Taking store={store} />
        </div>
      </header>
      <h2 class="question">{scene.title}</h2>
      {/* It says what will be seen, which is to be guessed first. */}
      {!store.lesson.hidden.value && <p class="look">{preset.look || scene.look}</p>}
      <LessonCard lesson={store.lesson} asking={asking} />
      <Scene store={store} width={width.value} />
      <Why store={store} />
      <div class="spoken" role="status" aria-live="polite">
        {store.said}
      </div>
    </div>
  );
}

/** Where the number under the pointer comes from. */
function Why({ store }: { store: Store }) {
  const cell = store.cell.value;
  const explained = cell && explain(store, cell);
  return (
    <p class="why" data-part="why">
      {explained ? (
        <>
          <span>{explained.name}</span> <b>{explained.sum}</b>
        </>
      ) : (
        <span class="hint">
          Point at a number to see where it comes from. Drag it, type, paste a block, or use the arrow keys to
          change it. Click the name of a query to look at its row.
        </span>
      )}
    </p>
  );
}

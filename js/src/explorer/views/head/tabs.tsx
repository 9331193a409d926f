/** What is shown: the views of a map, side by side in groups by the question that they answer, or in a menu where there is little room. */
import { Menu } from "../../../controls/menu";
import type { Store } from "../../store";
import { type Asked, type View, viewsOf } from "../table";

interface Props {
  store: Store;
  /** CSS pixels of the whole line. */
  width: number;
}

/** So much is left for the title, and for what stands at the right. */
const OTHERS = 620;
/** About what a tab takes, by the letters of its name. */
const LETTER = 7.2;
const AROUND = 18;

const NAMES: Record<Asked, string> = {
  "one head": "One head",
  "all heads": "All heads",
  "all layers": "All layers",
  "one score": "One score",
};

/** Views in their order, with the runs that answer one question together. */
function groupsOf(views: readonly View[]): View[][] {
  const groups: View[][] = [];
  for (const view of views) {
    const last = groups.at(-1);
    if (last?.[0]?.asked === view.asked) last.push(view);
    else groups.push([view]);
  }
  return groups;
}

export function Tabs({ store, width }: Props) {
  const views = viewsOf(store);
  const chosen = store.view.value;
  const choose = (name: string) => {
    store.traits.view.value = name;
  };
  if (store.lesson.isLocked("view") || views.length < 2) return null;
  const groups = groupsOf(views);
  const wanted = views.reduce((sum, { label }) => sum + label.length * LETTER + AROUND, 0);
  if (wanted + OTHERS > width) {
    return (
      <Menu
        label="View"
        part="view"
        value={chosen}
        options={[]}
        groups={groups.map((group) => ({
          label: NAMES[group[0]!.asked],
          options: group.map(({ name, label }) => [name, label] as const),
        }))}
        onChange={choose}
      />
    );
  }
  return (
    <div class="tabs" role="group" aria-label="View" data-part="views">
      {groups.map((group) => (
        <div class="segments" role="group" aria-label={group[0]!.asked} key={group[0]!.asked}>
          {group.map(({ name, label, hint }) => (
            <button
              type="button"
              key={name}
              data-part={`view-${name}`}
              aria-pressed={name === chosen}
              title={hint}
              onClick={() => choose(name)}
            >
              {label}
            </button>
          ))}
        </div>
      ))}
    </div>
  );
}

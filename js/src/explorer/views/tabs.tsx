/** What is shown: the views of a map, side by side in groups by the question that they answer, or in a menu where there is little room. */
import { Menu } from "../../controls/menu";
import type { Store } from "../store";
import type { Shape } from "./room";
import { type View, viewsOf } from "./table";

interface Props {
  store: Store;
  shape: Shape;
}

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

export function Tabs({ store, shape }: Props) {
  const views = viewsOf(store.map.value);
  const chosen = store.view.value;
  const choose = (name: string) => {
    store.traits.view.value = name;
  };
  if (store.lesson.isLocked("view") || views.length < 2) return null;
  if (shape === "narrow") {
    return (
      <Menu
        label="View"
        part="view"
        value={chosen}
        options={views.map(({ name, label }) => [name, label] as const)}
        onChange={choose}
      />
    );
  }
  return (
    <div class="tabs" role="group" aria-label="View" data-part="views">
      {groupsOf(views).map((group) => (
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

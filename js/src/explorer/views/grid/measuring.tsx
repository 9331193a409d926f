/** Which measure badges the grid, and whether it sorts it. */

import { Menu } from "../../../controls/menu";
import type { Choices } from "../../choices";
import type { Store } from "../../store";

export const ORDERS: [Choices["sort"], string][] = [
  ["model", "Model order"],
  ["highest", "Highest first"],
  ["lowest", "Lowest first"],
];

export function Measuring({ store }: { store: Store }) {
  const { traits } = store;
  const measures = store.map.value?.measures ?? [];
  const measure = store.measure.value;
  if (measures.length === 0 || store.lesson.isLocked("measure")) return null;
  return (
    <>
      <div class="measuring">
        <Menu
          label="Measure"
          part="measure"
          value={measure?.name ?? ""}
          options={[["", "none"], ...measures.map(({ name, label }) => [name, label] as const)]}
          title="A number for every head"
          onChange={(name) => (traits.measure.value = name)}
        />
        {measure && (
          <Menu
            bare
            label="Order"
            part="sort"
            value={traits.sort.value}
            options={ORDERS}
            onChange={(sort) => (traits.sort.value = sort)}
          />
        )}
      </div>
      {measure && (
        <p class="about" data-part="about">
          {measure.about}
        </p>
      )}
    </>
  );
}

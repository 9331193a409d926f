/** The head line: of what, which maps, which measure, and whether it follows a training. */
import { Menu } from "../../controls/menu";
import type { Source } from "../../host/source";
import type { Told } from "../choices";
import type { Store } from "../store";

interface Props {
  store: Store;
  told: Told;
  source: Source;
}

/** One quiet sentence where nothing comes, and about what does. */
function sentence(store: Store, told: Told, source: Source): string {
  const { link, patience, cut, busy } = source;
  if (link.value === "absent") return "No kernel has these readings: run the cell again.";
  if (link.value === "lost") return "The kernel was restarted or shut down: run the cell again.";
  if (link.value === "page") return source.missing;
  if (patience.value !== "calm" && cut.value) return "The connection to the kernel is cut.";
  if (patience.value !== "calm" && busy.value)
    return "The kernel is busy; what is new comes when it is free.";
  if (patience.value !== "calm") return "Waiting for the kernel.";
  if (!told.growing) return "";
  return store.follows ? "Follows the newest reading." : "";
}

export function Head({ store, told, source }: Props) {
  const { traits } = store;
  const measure = told.measures.find(({ name }) => name === traits.measure.value);
  const counts = store.runs.value.map((run) => run.steps.value.length);
  const noun = told.growing ? "reading" : "step";
  const said = counts.map((count) => count.toLocaleString("en-US")).join(" + ");
  const readings = `${said} ${noun}${counts.length === 1 && counts[0] === 1 ? "" : "s"}`;
  return (
    <header class="toolbar">
      <div class="head" data-titled={told.title !== ""}>
        {told.title && (
          <h1 title={told.title}>
            <bdi>{told.title}</bdi>
          </h1>
        )}
        <small class="count">{readings}</small>
      </div>
      <div class="tools">
        {told.maps.length > 1 && (
          <Menu
            label="Maps"
            part="map"
            value={traits.map.value}
            options={told.maps.map(({ name }) => [name, name] as const)}
            onChange={(name) => (traits.map.value = name)}
          />
        )}
        {told.measures.length > 0 && (
          <Menu
            label="Curve"
            part="measure"
            title={measure?.about ?? ""}
            value={traits.measure.value}
            options={told.measures.map(({ name, label }) => [name, label] as const)}
            onChange={(name) => (traits.measure.value = name)}
          />
        )}
      </div>
      <p class="notes" data-part="status">
        {sentence(store, told, source)}
      </p>
    </header>
  );
}

/** The Timeline's views: what is asked above, heads beside the map, and beneath them the steps. */
import { useRef } from "preact/hooks";
import { Fault } from "../../controls/fault";
import { useWidth } from "../../drawing/canvas";
import type { Source } from "../../host/source";
import type { Loading } from "../loading";
import type { Player } from "../play";
import type { Store } from "../store";
import { Curves } from "./curves";
import { Events } from "./events";
import { Head } from "./head";
import { Heads } from "./heads";
import { Maps } from "./map";
import { Scrubber } from "./scrubber";

interface Props {
  store: Store;
  loading: Loading;
  source: Source;
  player: Player;
}

/** From here on the heads stand beside the map. */
const BESIDE = 700;

export function Layout({ store, loading, source, player }: Props) {
  const ruler = useRef<HTMLDivElement>(null);
  const width = useWidth(ruler, store.width).value;
  const told = store.told.value;
  const begun = store.runs.value.some((run) => run.steps.value.length > 0);
  return (
    <div class="layout" data-shape={width >= BESIDE ? "wide" : "narrow"}>
      <div ref={ruler} class="ruler" />
      {told && <Head store={store} told={told} source={source} />}
      {loading.fault.value && <Fault sentence={loading.fault.value} onRetry={() => loading.retry()} />}
      {!begun && loading.looked.value && (
        <p class="notes" data-part="empty">
          {told?.growing
            ? "Nothing has been read yet; the first reading shows by itself."
            : "There is nothing to show."}
        </p>
      )}
      {begun && width > 0 && (
        <>
          <div class="stage">
            <Heads store={store} />
            <Maps store={store} room={width} beside={width >= BESIDE} />
          </div>
          <Scrubber store={store} player={player} />
          <Curves store={store} player={player} />
          <Events store={store} player={player} />
        </>
      )}
      <p class="spoken" role="status">
        {store.said.value}
      </p>
    </div>
  );
}

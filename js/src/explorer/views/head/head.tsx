/** The line above everything: what this is and what is wrong with it; what is shown; how it is coloured; what leaves. */
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { Handed } from "../../../controls/handed";
import type { Source } from "../../../host/source";
import type { Answers } from "../../answers";
import { type Kept, Save } from "../../saving/save";
import type { Store } from "../../store";
import { Alarms } from "./alarms";
import { Colouring } from "./colouring";
import { CompareButton } from "./compared";
import { Keys } from "./keys";
import { Lens } from "./lens";
import { Tabs } from "./tabs";
import { TokensPanel } from "./tokens";

interface Props {
  store: Store;
  answers: Answers;
  source: Source;
  width: number;
}

export function Head({ store, answers, source, width }: Props) {
  const kept = useSignal<Kept | null>(null);
  const here = useRef<HTMLElement>(null);
  const title = store.facts.value?.title;

  function close(): void {
    here.current?.querySelector<HTMLElement>('[data-part="save"]')?.focus({ preventScroll: true });
    kept.value = null;
  }

  return (
    <header class="toolbar" ref={here}>
      <div class="head" data-titled={Boolean(title)}>
        {title && <h1 title={title}>{title}</h1>}
        <Alarms store={store} answers={answers} around={here} />
      </div>
      <div class="tools">
        <Tabs store={store} width={width} />
        <TokensPanel store={store} source={source} />
        <CompareButton store={store} />
        <Colouring store={store} />
        <Save store={store} answers={answers} source={source} kept={kept} />
      </div>
      {kept.value && <Handed {...kept.value} onClose={close} />}
      <Keys store={store} />
      <Lens store={store} source={source} />
    </header>
  );
}

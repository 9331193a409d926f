/** Under the title: on which token the effect is, why it cannot be shown, and which words the head has promoted. */
import { Suggesting, type Suggestion } from "../../../controls/suggesting";
import { brief, readable, short, shortened } from "../../../drawing/words";
import type { Store } from "../../store";
import { effectName, effectPlace, type Promoted, type Weighed } from "../../weighing";

const LONGEST = 14;

export function Details({ store }: { store: Store }) {
  const { weighing, traits, lesson } = store;
  const weighed = weighing.weighed.value;
  if (!weighed) return null;
  const free = !lesson.isLocked("weighing");
  const shown = weighing.effect.value;
  const effect = traits.weighing.value === "effect";
  const refused = weighing.refused.value;
  const failed = traits.weighing.value !== "weight" && weighed.state === "error";
  return (
    <>
      {free && refused && (
        <p class="hint weighed" data-part="weighing-refused">
          {refused}
        </p>
      )}
      {failed && (
        <p class="refused weighed" role="alert" data-part="weighing-failed">
          {weighed.why}
        </p>
      )}
      {free && effect && <Chooser store={store} weighed={weighed} />}
      {!free && shown && (
        <p class="hint weighed" data-part="effect" title={weighed.caveat}>
          {effectName(shown)} {effectPlace(weighed)}
        </p>
      )}
      {effect && shown && <PromotedWords store={store} weighed={weighed} />}
    </>
  );
}

/** The token, and the one that it is held against: as a sentence with two fields in it. */
function Chooser({ store, weighed }: { store: Store; weighed: Weighed }) {
  const { traits, weighing } = store;
  const there = weighing.effect.value !== null;
  // Without a kernel nothing is on its way any more.
  const live = weighing.isLive;
  const options = (but: string): Suggestion[] =>
    (weighed.candidates ?? [])
      .filter(([token]) => token !== but)
      .map(([token, share]) => [token, short(share)]);
  // What is shown until somebody types another.
  const target = there ? (weighed.target ?? "") : "";
  return (
    <div
      class="weighed effect"
      data-part="effect"
      data-run={live ? weighed.state : "done"}
      title={weighed.caveat}
    >
      <Suggesting
        label="effect on"
        part="target"
        value={live ? traits.target.value : target}
        placeholder={readable(target || "the likeliest")}
        held={target !== ""}
        options={options("")}
        disabled={!live}
        onChange={(token) => (traits.target.value = token)}
      />
      <Suggesting
        label="against"
        part="versus"
        value={live ? traits.versus.value : (weighed.versus ?? "")}
        placeholder="nothing"
        options={options(target)}
        disabled={!live}
        onChange={(token) => (traits.versus.value = token)}
      />
      <span class="hint" data-part="effect-place">
        {there ? effectPlace(weighed) : weighed.state === "running" && "running the model …"}
      </span>
    </div>
  );
}

/** They are those of one head, and stand still while those of the next are on their way. */
function PromotedWords({ store, weighed }: { store: Store; weighed: Weighed }) {
  const { promoted } = weighed;
  if (!promoted) return null;
  const own = promoted.layer === store.layer.value && promoted.head === store.head.value;
  return (
    <div
      class="weighed promoted"
      data-part="promoted"
      data-run={store.weighing.isLive ? weighed.state : "done"}
      data-stale={!own}
    >
      <Words part="more" label="promotes" words={promoted.more} />
      <Words part="less" label="suppresses" words={promoted.less} />
    </div>
  );
}

interface WordsProps {
  part: string;
  label: string;
  words: readonly Promoted[];
}

function Words({ part, label, words }: WordsProps) {
  if (words.length === 0) return null;
  return (
    <ul data-part={`promoted-${part}`} aria-label={`Words that the head ${label}, with logits`}>
      <li class="hint" aria-hidden="true">
        {label}
      </li>
      {words.map(([word, logits], at) => (
        <li key={at} data-part="promoted-word" title={readable(word)}>
          <bdi>{shortened(readable(word), LONGEST)}</bdi>{" "}
          <small>{`${logits > 0 ? "+" : ""}${brief(logits)}`}</small>
        </li>
      ))}
    </ul>
  );
}

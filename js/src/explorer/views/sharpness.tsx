/** Temperature and scaling: the two numbers that act between scores and weights. */
import { batch } from "@preact/signals";
import { Button } from "../../controls/button";
import { Slider } from "../../controls/slider";
import { withArticle } from "../../drawing/naming";
import { short } from "../../drawing/words";
import type { Store } from "../store";

/** The temperature slider moves in powers of ten, from 0.1 to 10, with 1 in the middle. */
export const temperatureAt = (place: number): number => Number((10 ** place).toPrecision(3));
export const placeOf = (temperature: number): number => Math.log10(temperature);

export function Sharpness({ store }: { store: Store }) {
  const derived = store.map.value?.derived;
  const coarse = store.isCoarse.value;
  // Coarse points stay as they were made.
  const drawn = coarse ? store.drawn.value : null;
  const temperature = drawn?.temperature ?? store.temperature.value;
  const scaling = drawn?.scaling ?? store.scaling.value;
  const changed = temperature !== 1 || scaling !== 1;

  function reset(): void {
    batch(() => {
      store.traits.temperature.value = 1;
      store.traits.scaling.value = 1;
    });
  }

  return (
    <section class="sharpness">
      <Slider
        label="Temperature"
        part="temperature"
        value={placeOf(temperature)}
        text={short(temperature)}
        min={-1}
        max={1}
        step={0.01}
        disabled={Boolean(derived) || coarse}
        onInput={(place) => (store.traits.temperature.value = temperatureAt(place))}
      />
      <Slider
        label="Scaling"
        part="scaling"
        value={scaling}
        text={short(scaling)}
        min={0}
        max={4}
        step={0.01}
        disabled={Boolean(derived) || coarse}
        onInput={(value) => (store.traits.scaling.value = value)}
      />
      <Button class="quiet" part="reset" idle={!changed} onClick={reset}>
        Reset
      </Button>
      <span class="formula">
        {coarse && !derived
          ? "Temperature and scaling act on heads that are here whole, and this one is here in coarse points."
          : derived
            ? `Temperature and scaling act on one head's scores; this map is ${withArticle(derived)}.`
            : `softmax(q·k × ${short(scaling)} / ${short(temperature)})`}
      </span>
    </section>
  );
}

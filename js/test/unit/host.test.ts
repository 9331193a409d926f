import { effect } from "@preact/signals";
import { describe, expect, it } from "vitest";
import { Cache } from "../../src/answers/cache";
import { DEFAULTS } from "../../src/explorer/choices";
import { type Facts, keyValueHead, type MapFacts } from "../../src/host/facts";
import { connectTraits } from "../../src/host/traits";
import { MockMap } from "../maps";
import { MockModel } from "../mock";

const model = () => new MockModel([new MockMap({ queries: ["a", "b"] })], { layer: 1 });
const flush = () => Promise.resolve();

describe("traits", () => {
  it("read what Python set before display and follow what it sets after", () => {
    const host = model();
    const { traits } = connectTraits(host, DEFAULTS);
    expect(traits.layer.value).toBe(1);
    expect(traits.head.value).toBe(0);
    host.fromPython({ layer: 3, query: 1 });
    expect([traits.layer.value, traits.query.value]).toEqual([3, 1]);
  });

  it("set together are seen together", () => {
    const host = model();
    const { traits } = connectTraits(host, DEFAULTS);
    const seen: string[] = [];
    effect(() => void seen.push(`${traits.layer.value}/${traits.head.value}`));
    host.fromPython({ layer: 3, head: 2 });
    expect(seen).toEqual(["1/0", "3/2"]);
  });

  it("take facts as text, as Python sends them, and read each once", () => {
    const host = model();
    const { traits } = connectTraits(host, DEFAULTS);
    const text = JSON.stringify({ ...(host.get("facts") as Facts), title: "<!-- a" }).replaceAll(
      "<",
      "\\u003c",
    );
    host.fromPython({ facts: text as unknown as Facts });
    const told = traits.facts.value;
    expect(told?.title).toBe("<!-- a");
    host.fromPython({ layer: 3 });
    expect(traits.facts.value).toBe(told);
  });

  it("are not sent back to where they came from", async () => {
    const host = model();
    connectTraits(host, DEFAULTS);
    host.fromPython({ layer: 2, temperature: 0.5 });
    await flush();
    expect(host.saved).toEqual([]);
  });

  it("chosen together travel together", async () => {
    const host = model();
    const { traits } = connectTraits(host, DEFAULTS);
    traits.query.value = 1;
    traits.key.value = 0;
    await flush();
    expect(host.saved).toEqual([{ query: 1, key: 0 }]);
  });

  describe("around a cut of the line", () => {
    function cuttable() {
      const host = model();
      const slots = new Set<(kernel: unknown, status: string) => void>();
      host.widget_manager = {
        kernel: {
          connectionStatus: "connected",
          connectionStatusChanged: {
            connect: (slot) => slots.add(slot),
            disconnect: (slot) => slots.delete(slot),
          },
        },
      };
      host.policy = () => "hold";
      const become = (status: string) => {
        for (const slot of slots) slot(host.widget_manager.kernel, status);
      };
      return { host, slots, become, ...connectTraits(host, DEFAULTS) };
    }

    it("are told again when it is back, and hold against what is handed over", async () => {
      const { host, become, traits } = cuttable();
      traits.head.value = 1;
      become("connecting");
      traits.layer.value = 2;
      await flush();
      become("connected");
      await flush();
      expect(host.sent.at(-1)).toEqual({ chosen: { head: 1, layer: 2 } });
      host.fromPython({ layer: 1, head: 0 });
      expect([traits.layer.value, traits.head.value]).toEqual([2, 1]);
      expect([host.get("layer"), host.get("head")]).toEqual([2, 1]);
    });

    it("give way to what Python sets anew", async () => {
      const { host, become, traits } = cuttable();
      become("connecting");
      traits.layer.value = 2;
      become("connected");
      await flush();
      host.fromPython({ layer: 0 });
      expect(traits.layer.value).toBe(0);
    });

    it("are told both ways from then on, for a host may have stopped sending", async () => {
      const { host, become, traits } = cuttable();
      traits.layer.value = 2;
      traits.head.value = 1;
      await flush();
      expect(host.sent).toEqual([]);
      become("connecting");
      become("connected");
      await flush();
      traits.layer.value = 3;
      await flush();
      expect(host.sent.at(-1)).toEqual({ chosen: { layer: 3 } });
      expect(host.saved.at(-1)).toEqual({ layer: 3 });
    });

    it("are let go of with the widget", () => {
      const { slots, disconnect } = cuttable();
      expect(slots.size).toBe(1);
      disconnect();
      expect(slots.size).toBe(0);
    });
  });

  it("let go of the host", () => {
    const host = model();
    const { traits, disconnect } = connectTraits(host, DEFAULTS);
    expect(host.listeners).toBeGreaterThan(0);
    disconnect();
    expect(host.listeners).toBe(0);
    traits.layer.value = 2;
    expect(host.get("layer")).toBe(1);
  });
});

describe("the cache", () => {
  it("drops what was used longest ago, by bytes", () => {
    const cache = new Cache<{ bytes: number }>(100);
    cache.set("a", { bytes: 40 });
    cache.set("b", { bytes: 40 });
    cache.get("a");
    cache.set("c", { bytes: 40 });
    expect([cache.has("a"), cache.has("b"), cache.has("c")]).toEqual([true, false, true]);
    expect(cache.bytes).toBe(80);
  });

  it("keeps the newest even where it is too large", () => {
    const cache = new Cache<{ bytes: number }>(10);
    cache.set("a", { bytes: 40 });
    cache.set("b", { bytes: 50 });
    expect([cache.has("a"), cache.has("b"), cache.bytes]).toEqual([false, true, 50]);
  });

  it("counts an entry that is put again once", () => {
    const cache = new Cache<{ bytes: number }>(100);
    cache.set("a", { bytes: 40 });
    cache.set("a", { bytes: 30 });
    expect(cache.bytes).toBe(30);
    cache.clear();
    expect(cache.bytes).toBe(0);
  });
});

describe("grouped-query heads", () => {
  const map = (heads: number, shared: number) => ({ heads: [heads], key_value_heads: [shared] }) as MapFacts;
  it("name the key-value head that they read", () => {
    expect([0, 3, 4, 7].map((head) => keyValueHead(map(8, 2), 0, head))).toEqual([0, 0, 1, 1]);
    expect(keyValueHead(map(8, 1), 0, 7)).toBe(0);
  });
  it("have nothing to name where every head has its own", () => {
    expect(keyValueHead(map(8, 8), 0, 3)).toBeNull();
  });
});

import { describe, expect, it, onTestFinished, vi } from "vitest";
import { MockMap } from "../maps";
import { MockModel } from "../mock";
import { mount, slide } from "./mount";

const WORDS = "Lily and Ben went to the park .".split(" ");
const model = (choices = {}) => new MockModel([new MockMap({ queries: WORDS, heads: [3, 3] })], choices);
const GONE = "The kernel was restarted or shut down: run the cell again.";
const loaded = (view: ReturnType<typeof mount>) => view.parts("thumb", '[data-loaded="true"]').length;

describe("loading", () => {
  it("asks for the selected head, its layer, the grid, then the neighbours", async () => {
    const host = model({ layer: 1, head: 1 });
    const view = mount(host);
    await vi.waitFor(() => expect(host.sent.length).toBe(6));
    expect(host.sent.map(({ op, layer, head }) => [op, layer, head])).toEqual([
      ["tile", 1, 1],
      ["profile", 1, undefined],
      ["thumbnails", 1, undefined],
      ["thumbnails", 0, undefined],
      ["tile", 1, 2],
      ["tile", 1, 0],
    ]);
    await vi.waitFor(() => expect(loaded(view)).toBe(6));
    expect(view.part("progress").dataset.done).toBe("true");
  });

  it("shows a head that was seen without asking again, in one frame", async () => {
    const host = model();
    const view = mount(host);
    await view.ready();
    host.fromPython({ head: 2 });
    await vi.waitFor(() => expect(view.heatmap().dataset.head).toBe("2"));
    const tiles = () => host.sent.filter(({ op, head }) => op === "tile" && head === 0).length;
    const before = tiles();
    host.fromPython({ head: 0 });
    await new Promise(requestAnimationFrame);
    expect(view.heatmap().dataset.head).toBe("0");
    expect(tiles()).toBe(before);
  });

  it("lets the newest choice overtake the ones between", async () => {
    const host = new MockModel([new MockMap({ queries: WORDS, heads: [9] })]);
    host.policy = () => "hold";
    const view = mount(host);
    for (const head of [1, 2, 3, 4, 8]) host.fromPython({ head });
    expect(host.held.map(({ head }) => head)).toEqual([0]);
    host.release();
    await view.ready();
    expect(view.heatmap().dataset.head).toBe("8");
    const wanted = host.sent.filter(({ op, head }) => op === "tile" && [1, 2, 3, 4].includes(head));
    expect(wanted).toEqual([]);
  });

  it("needs no kernel for the sliders", async () => {
    const host = model();
    const view = mount(host);
    await view.ready();
    await vi.waitFor(() => expect(host.sent.length).toBe(5));
    slide(view.part<HTMLInputElement>("temperature"), 0.5);
    await vi.waitFor(() => expect(Number(view.heatmap().dataset.temperature)).toBeCloseTo(10 ** 0.5, 2));
    expect(host.sent.length).toBe(5);
  });

  it("starts over when the facts are replaced", async () => {
    const host = model({ query: 1 });
    const view = mount(host);
    await view.ready();
    const other = new MockMap({ queries: ["one", "two", "three"], heads: [1, 1] });
    host.maps.splice(0, 1, other);
    host.fromPython({ facts: { title: "another", maps: [other.facts] } });
    await view.ready();
    expect(view.heatmap().dataset.window).toBe("0,3,0,3");
    await vi.waitFor(() => expect(loaded(view)).toBe(2));
    expect(view.part("row").dataset.query).toBe("1");
  });

  it("changes between maps", async () => {
    const encoder = new MockMap({ name: "encoder", queries: WORDS, causal: false });
    const cross = new MockMap({ name: "cross", queries: ["Li", "li"], keys: WORDS, causal: false, seed: 2 });
    const host = new MockModel([encoder, cross]);
    const view = mount(host);
    await view.ready();
    host.fromPython({ map: "cross" });
    await vi.waitFor(() => expect(view.heatmap().dataset.map).toBe("cross"));
    expect(view.heatmap().dataset.window).toBe("0,2,0,8");
    expect(view.part<HTMLSelectElement>("map").value).toBe("cross");
  });
});

describe("a kernel that", () => {
  it("is busy is waited for, in so many words", async () => {
    const host = model();
    const view = mount(host);
    expect(view.state()).toBe("loading");
    await view.ready();
    host.policy = () => "hold";
    host.widget_manager = { kernel: { connectionStatus: "connected", status: "busy" } };
    host.fromPython({ layer: 1, head: 2 });
    await vi.waitFor(() => expect(view.state()).toBe("waiting"), { timeout: 3000 });
    expect(view.part("status").textContent).toBe("The kernel is busy; the picture comes when it is free.");
    host.release();
    await view.ready();
    expect(view.part("status").textContent).toBe("");
  });

  it("is not called busy where the page is", async () => {
    const host = model();
    host.policy = () => "hold";
    const view = mount(host);
    const stand = () => {
      const until = performance.now() + 900;
      while (performance.now() < until);
    };
    for (let times = 0; times < 3; times++) {
      await new Promise((resolve) => window.setTimeout(resolve, 20));
      stand();
    }
    await vi.waitFor(() =>
      expect(view.part("status").textContent).toBe("This page is busy; the picture comes when it has time."),
    );
    expect(host.sent).toHaveLength(1);
    // Once the page has time to listen, silence is the kernel's again.
    await vi.waitFor(() => expect(view.part("status").textContent).toContain("Nobody has answered"), {
      timeout: 3000,
    });
    host.release();
    await view.ready();
    expect(view.part("status").textContent).toBe("");
  });

  it("does not answer is not called busy, unless the host says so", async () => {
    const host = model();
    host.policy = () => "hold";
    const view = mount(host);
    await vi.waitFor(() => expect(view.state()).toBe("waiting"), { timeout: 3000 });
    expect(view.part("status").textContent).toBe("Nobody has answered for 1 s.");
    await vi.waitFor(() => expect(view.part("status").textContent).toBe("Nobody has answered for 2 s."), {
      timeout: 3000,
    });
    host.widget_manager = { kernel: { connectionStatus: "connected", status: "busy" } };
    await vi.waitFor(() => expect(view.part("status").textContent).toContain("The kernel is busy"), {
      timeout: 3000,
    });
  });

  it("stays silent for long may have stopped, or never have been there", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    onTestFinished(() => void vi.useRealTimers());
    const host = model();
    host.policy = () => "hold";
    const view = mount(host);
    await vi.advanceTimersByTimeAsync(21_500);
    expect(view.part("status").textContent).toMatch(
      /^Nobody has answered for 2[12] s: the kernel may have stopped, or there is none here\.$/,
    );
    host.release();
    await vi.advanceTimersByTimeAsync(100);
    expect(view.part("status").textContent).toBe("");
    host.policy = () => "hold";
    host.widget_manager = { kernel: { connectionStatus: "connected", status: "busy" } };
    host.fromPython({ layer: 1, head: 2 });
    await vi.advanceTimersByTimeAsync(21_500);
    expect(view.part("status").textContent).toMatch(/^The kernel has been busy for 2[12] s/);
  });

  it("does not answer is asked again under the same id, and the first answer counts", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const host = model();
    host.policy = () => "hold";
    const view = mount(host);
    await vi.advanceTimersByTimeAsync(900);
    expect(host.sent.length).toBe(1);
    host.policy = () => "answer";
    await vi.advanceTimersByTimeAsync(200);
    vi.useRealTimers();
    await view.ready();
    expect(host.sent[1]).toEqual(host.sent[0]);
    host.release();
    await vi.waitFor(() => expect(loaded(view)).toBe(6));
    expect(view.state()).toBe("ready");
  });

  it("answers with an error is quoted, and can be asked again", async () => {
    const host = model();
    host.policy = ({ op }) => (op === "tile" ? { error: "Layer 0 was not captured." } : "answer");
    const view = mount(host);
    await vi.waitFor(() => expect(view.state()).toBe("error"));
    await vi.waitFor(() => expect(view.host.shadowRoot!.textContent).toContain("Layer 0 was not captured."));
    host.policy = () => "answer";
    view.part("retry").click();
    await view.ready();
    expect(view.parts("retry")).toEqual([]);
  });

  it("fails for the grid alone leaves the map alone", async () => {
    const host = model();
    host.policy = ({ op }) => (op === "thumbnails" ? { error: "Out of memory." } : "answer");
    const view = mount(host);
    await view.ready();
    await vi.waitFor(() => expect(view.host.shadowRoot!.textContent).toContain("Out of memory."));
    host.policy = () => "answer";
    view.part("retry").click();
    await vi.waitFor(() => expect(loaded(view)).toBe(6));
  });

  it("sends too few bytes is not believed", async () => {
    const host = model();
    host.policy = () => "hold";
    const view = mount(host);
    host.message({
      id: host.held[0]!.id,
      ok: true,
      header: { shape: [8, 8], stride: [1, 1], rows: [0, 8], columns: [0, 8] },
    });
    await vi.waitFor(() => expect(view.state()).toBe("error"));
    await vi.waitFor(() => expect(view.host.shadowRoot!.textContent).toContain("0 bytes of codes"));
  });

  it("loses every reply can be asked anew", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const host = model();
    host.policy = () => "hold";
    const view = mount(host);
    await vi.advanceTimersByTimeAsync(21_500);
    expect(host.sent.length).toBe(4);
    await vi.advanceTimersByTimeAsync(64_000);
    expect(host.sent.length).toBe(5);
    host.policy = () => "answer";
    view.part("retry").click();
    vi.useRealTimers();
    await view.ready();
    expect(view.parts("retry")).toEqual([]);
  });

  it("is restarted is missed at once, and what came stays", async () => {
    const host = model();
    const view = mount(host);
    await view.ready();
    await vi.waitFor(() => expect(host.sent.length).toBe(5));
    host.disconnect();
    await vi.waitFor(() => expect(view.part("status").textContent).toBe(GONE));
    expect(view.state()).toBe("error");
    const sent = host.sent.length;
    view.part("thumb", '[data-layer="0"][data-head="1"]').click();
    await vi.waitFor(() => expect(view.heatmap().dataset.head).toBe("1"));
    view.part("thumb", '[data-layer="1"][data-head="2"]').click();
    await vi.waitFor(() => expect(view.part("retry").parentElement!.textContent).toContain("had not come"));
    expect(view.part("retry").checkVisibility()).toBe(false);
    expect(loaded(view)).toBe(6);
    view.part("thumb", '[data-layer="0"][data-head="0"]').click();
    await vi.waitFor(() => expect(view.parts("retry")).toEqual([]));
    expect(view.heatmap().checkVisibility()).toBe(true);
    expect(host.sent.length).toBe(sent);
  });

  it("is restarted while a picture is on its way is not waited for", async () => {
    const host = model();
    host.policy = () => "hold";
    const view = mount(host);
    await vi.waitFor(() => expect(view.state()).toBe("waiting"), { timeout: 3000 });
    host.disconnect();
    await vi.waitFor(() => expect(view.state()).toBe("error"));
    expect(view.part("status").textContent).toBe(GONE);
  });

  it("never had the maps is not asked", async () => {
    const host = model();
    host.comm_live = undefined;
    const view = mount(host, 1000, "jupyter-widgets-disconnected");
    await vi.waitFor(() => expect(view.state()).toBe("error"));
    expect(view.host.shadowRoot!.querySelector(".layout")!.textContent).toBe(
      "No kernel has these maps: run the cell again.",
    );
    expect(host.sent).toEqual([]);
  });

  it("is cut off is not called busy", async () => {
    const host = model();
    host.policy = () => "hold";
    host.widget_manager = { kernel: { connectionStatus: "connecting" } };
    const view = mount(host);
    await vi.waitFor(() => expect(view.state()).toBe("waiting"), { timeout: 3000 });
    expect(view.part("status").textContent).toBe(
      "The connection to the kernel is cut; the picture comes when it is back.",
    );
    host.release();
    await view.ready();
    expect(view.part("status").textContent).toBe("");
  });

  it("goes away while sending is missed", async () => {
    const host = model();
    host.send = () => {
      throw new Error("Comm is closed");
    };
    const view = mount(host);
    await vi.waitFor(() => expect(view.state()).toBe("error"));
    expect(view.part("status").textContent).toBe(GONE);
  });

  it("says something unknown is not listened to", async () => {
    const host = model();
    const view = mount(host);
    await view.ready();
    const before = view.heatmap().dataset.head;
    host.message({ id: "somebody-else", ok: false, error: "Not for you." });
    host.message({});
    host.message("text");
    expect(view.state()).toBe("ready");
    expect(view.heatmap().dataset.head).toBe(before);
    expect(view.host.shadowRoot!.textContent).not.toContain("Not for you.");
  });
});

describe("a page", () => {
  it("holds two widgets that know nothing of each other", async () => {
    const [one, two] = [model({ layer: 0 }), model({ layer: 1, head: 2 })];
    const [left, right] = [mount(one), mount(two)];
    await Promise.all([left.ready(), right.ready()]);
    right.part("thumb", '[data-layer="0"][data-head="1"]').click();
    await vi.waitFor(() => expect(right.heatmap().dataset.head).toBe("1"));
    expect([left.heatmap().dataset.layer, left.heatmap().dataset.head]).toEqual(["0", "0"]);
    left.close();
    two.fromPython({ temperature: 2 });
    await vi.waitFor(() => expect(right.heatmap().dataset.temperature).toBe("2"));
  });

  it("holds two views of one model that agree", async () => {
    const host = model();
    const [left, right] = [mount(host), mount(host)];
    await Promise.all([left.ready(), right.ready()]);
    left.part("thumb", '[data-layer="1"][data-head="2"]').click();
    await vi.waitFor(() => expect(right.heatmap().dataset.layer).toBe("1"));
    await Promise.all([left.ready(), right.ready()]);
    const ids = host.sent.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it("is left as it was found", async () => {
    const host = model();
    const children = document.head.childElementCount;
    const view = mount(host);
    await view.ready();
    expect(view.host.shadowRoot!.querySelectorAll("[id]").length).toBeLessThanOrEqual(1);
    expect(document.head.childElementCount).toBe(children);
    view.close();
    view.close();
    expect(host.listeners).toBe(0);
    expect(view.el.childElementCount).toBe(0);
    const sent = host.sent.length;
    host.fromPython({ head: 2 });
    expect(host.sent.length).toBe(sent);
  });

  it("may close a view while a question is out", async () => {
    const host = model();
    host.policy = () => "hold";
    const view = mount(host);
    view.close();
    host.release();
    expect(host.listeners).toBe(0);
  });
});

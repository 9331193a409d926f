import { expect, it, onTestFinished, vi } from "vitest";
import explorer from "../../src/explorer";
import { MockMap } from "../maps";
import { MockModel } from "../mock";

const model = () => new MockModel([new MockMap({ queries: "Lily and Ben went".split(" "), heads: [2] })]);

/** Views as a host makes them, one below the other. */
function rendered(count: number) {
  const place = document.createElement("div");
  place.style.width = "900px";
  document.body.prepend(place);
  const views = Array.from({ length: count }, () => {
    const el = document.createElement("div");
    place.append(el);
    const host = model();
    return { el, host, close: explorer.render({ model: host, el }) };
  });
  onTestFinished(() => {
    for (const { close } of views) close();
    place.remove();
  });
  const state = (at: number) => views[at]!.el.querySelector<HTMLElement>("[data-attnwidget]")?.dataset.state;
  return { views, state };
}

it("a view is there at once, and is made when it is its turn", async () => {
  const { views, state } = rendered(1);
  expect(state(0)).toBe("loading");
  expect(views[0]!.host.sent).toEqual([]);
  await vi.waitFor(() => expect(state(0)).toBe("ready"), { timeout: 5_000 });
});

it("of many those in sight are made first, and none is left out", async () => {
  const { views, state } = rendered(12);
  const order: number[] = [];
  views.forEach(({ host }, at) => {
    const send = host.send.bind(host);
    host.send = (content) => {
      if (!order.includes(at)) order.push(at);
      send(content);
    };
  });
  await vi.waitFor(() => expect(order.length).toBe(12), { timeout: 20_000 });
  expect(order.slice(0, 2)).toEqual([0, 1]);
  expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 12 }, (_, at) => at));
  await vi.waitFor(() => expect(views.map((_, at) => state(at)).every((one) => one === "ready")).toBe(true), {
    timeout: 20_000,
  });
});

it("a view that is closed before its turn asks for nothing", async () => {
  const { views, state } = rendered(3);
  views[2]!.close();
  expect(state(2)).toBeUndefined();
  await vi.waitFor(() => expect(state(1)).toBe("ready"), { timeout: 10_000 });
  expect(views[2]!.host.sent).toEqual([]);
});

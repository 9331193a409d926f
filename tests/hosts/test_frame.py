"""A frame of no origin that talks to its page by messages, and is given buffers as Colab and VS Code give them."""

from __future__ import annotations

import base64

import attnwidget as aw
from tests.hosts.looking import TEXT, choose, part, ready, shown

FRAME = """<!doctype html><script type="module">
const listeners = new Map();
const heard = (event) => listeners.get(event) ?? listeners.set(event, new Set()).get(event);
const emit = (event, ...what) => heard(event).forEach((listener) => listener(...what));
let state, unsaved = {};
const model = {
  get: (name) => state[name],
  set(name, value) { state[name] = unsaved[name] = value; emit(`change:${name}`); },
  save_changes() { parent.postMessage({ update: unsaved }, "*"); unsaved = {}; },
  send: (question) => parent.postMessage({ question }, "*"),
  on: (event, listener) => heard(event).add(listener),
  off: (event, listener) => heard(event).delete(listener),
};
addEventListener("message", async ({ data: { module, update, reply, buffers } }) => {
  if (module) {
    state = update;
    const { default: widget } = await import(URL.createObjectURL(new Blob([module], { type: "text/javascript" })));
    widget.render({ model, el: document.body });
  } else if (update) {
    Object.assign(state, update);
    Object.keys(update).forEach((name) => emit(`change:${name}`));
  } else emit("msg:custom", reply, buffers);
});
parent.postMessage({ open: true }, "*");
</script>"""

PAGE = """<!doctype html>
<iframe sandbox="allow-scripts" style="width: 1400px; height: 1100px"></iframe>
<script>
const frame = document.querySelector("iframe");
let count = 0;
// Each begins at another odd place of a larger buffer, as a Uint8Array or as a DataView.
function unaligned(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const offset = 1 + 2 * (count % 4);
  const { buffer } = new Uint8Array(bytes.length + 2 * offset);
  const placed = new Uint8Array(buffer, offset, bytes.length);
  placed.set(bytes);
  return count++ % 2 ? new DataView(buffer, offset, bytes.length) : placed;
}
function post(message) {
  for (const [name, text] of Object.entries(message.packed ?? {})) message.update[name] = unaligned(text);
  frame.contentWindow.postMessage({ ...message, buffers: message.buffers?.map(unaligned) }, "*");
}
addEventListener("message", async ({ data }) => (await kernel(data)).forEach(post));
</script>"""


def _text(data: object) -> str:
    return base64.b64encode(data).decode()


class Kernel:
    """A view whose messages are handed over by hand."""

    def __init__(self) -> None:
        self.view = aw.explore(TEXT)
        self._sent: list[dict[str, object]] = []
        self.view.send = lambda reply, buffers=None: self._sent.append(
            {"reply": reply, "buffers": [*map(_text, buffers or [])]}
        )

    def hear(self, message: dict[str, object]) -> list[dict[str, object]]:
        """What the frame says, and what it is told."""
        self._sent = []
        if "open" in message:
            state = {name: value for name, value in self.view.get_state().items() if not name.startswith("_")}
            module, packed = self.view._esm, {name: value for name, value in state.items() if isinstance(value, bytes)}
            update = {name: state[name] for name in state.keys() - packed.keys()}
            return [{"module": module, "update": update, "packed": {name: _text(packed[name]) for name in packed}}]
        if "update" in message:
            self.view.set_state(message["update"])
        else:
            self.view._handle_custom_msg(message["question"], [])
        return self._sent


def test_draws_and_acts_both_ways(page):
    kernel = Kernel()
    page.expose_function("kernel", kernel.hear)
    page.set_content(PAGE)
    page.locator("iframe").evaluate("(frame, text) => { frame.srcdoc = text; }", FRAME)
    widget = ready(page.frame_locator("iframe"))
    assert page.frames[1].evaluate("origin") == "null"
    choose(widget, 1, 2)
    part(widget, "findings", healthy="true").wait_for(state="attached")
    assert (kernel.view.layer, kernel.view.head) == (1, 2)
    kernel.view.layer, kernel.view.head = 2, 3
    page.evaluate("post", {"update": kernel.view.get_state(["layer", "head"])})
    shown(widget, 2, 3)

"""Benchmarks beside other tools: the same attention in BertViz and CircuitsVis, in the same JupyterLab."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Browser, Error, Page, Route, sync_playwright

from tests.benchmarks.kernel import row
from tests.browser.lab import CHROMIUM_FLAGS, Lab, Notebook, chromium, write_notebook

ROOT = Path(__file__).parent.parent.parent
# For the benchmark only, and never into the environment: a folder of their own, without what they would bring along.
INSTALLED = ROOT / "build" / "others"
PYTHON_PACKAGES = ("bertviz==1.4.1", "circuitsvis==1.43.3")
# What BertViz loads from a CDN. It asks for jQuery 2.0.0, which npm does not have; 2.1.0 is the next.
LIBRARIES = {
    "require.js": ("requirejs@2.3.6", "requirejs/require.js"),
    "/d3/": ("d3@5.7.0", "d3/dist/d3.min.js"),
    "/jquery/": ("jquery@2.1.0", "jquery/dist/jquery.min.js"),
}
# Length, layers and heads.
CASES = ((64, 12, 12), (512, 12, 12), (2048, 2, 4), (8192, 2, 4), (32768, 2, 4))
PATIENCE = 60  # seconds for a picture
MEMORY = 10e9  # bytes for server, kernel and browser together

_SETUP = """
import sys, time, torch, attnwidget as aw
from attnwidget.layers import Mask, ProjectedLayer
sys.path.append({installed!r})
draw = torch.Generator().manual_seed(0)
vectors = lambda: torch.randn({heads}, {n}, 64, generator=draw)
held = [ProjectedLayer(vectors(), vectors(), 0.125, Mask(causal=True)) for _ in range({layers})]
maps = aw.AttentionMaps(held, aw.Tokens.positions({n}))
tokens = [str(i) for i in range({n})]
def weights():
    return tuple(torch.stack([maps.weights(layer, head) for head in range({heads})])[None] for layer in range({layers}))
sent = 0
def count(message):
    global sent
    sent += sum(len(data) for data in message["content"].get("data", {{}}).values())
    return message
get_ipython().display_pub.register_hook(count)
{before}
"""
_SHOW = "called = time.time(); {show}; shown = time.time()"
# A picture counts from the second frame after it is there, so that it has been painted once.
_TIMED = """async ([target, event, done]) => {
  const frame = () => new Promise(requestAnimationFrame), ready = new Function(`return ${done}`);
  const start = performance.now();
  if (event) new Function(`return ${target}`)().dispatchEvent(new MouseEvent(event, { bubbles: true }));
  while (!ready()) await frame();
  await frame(), await frame();
  return [Date.now(), performance.now() - start];
}"""
_START = """() => {
  window.jupyterapp.shell.currentWidget.content.activeCellIndex = 1;
  void window.jupyterapp.commands.execute("notebook:run-cell");
}"""
_ROOT = "document.querySelector('[data-attnwidget=explorer]')?.shadowRoot"
_DRAWN = "[...document.querySelectorAll('[id^=circuits-vis] canvas')]"


@dataclass(frozen=True)
class Tool:
    """One way to show attention.

    before and show are Python: what is done first, and what shows the picture. first and other are JavaScript: whether
    the first picture is there, the element whose event asks for another head, and whether that head is there.
    """

    name: str
    before: str
    show: str
    first: str
    other: str
    switched: str
    event: str = "click"
    layers: int | None = None  # how many layers it shows at once; None for all
    dense: bool = True  # whether it is given matrices, and sends them as text


TOOLS = (
    Tool(
        "attnwidget",
        "from IPython.display import display; warm = aw.Explorer(aw.AttentionMaps(held[:1], maps.tokens))",
        "view = aw.Explorer(maps); display(view)",
        f"!!{_ROOT}?.querySelector('[data-part=heatmap][data-head]')",
        f'{_ROOT}?.querySelector(\'[data-part=thumb][data-layer="1"][data-head="2"]\')',
        f'{_ROOT}.querySelector(\'[data-part=heatmap][data-layer="1"][data-head="2"]\') !== null',
        dense=False,
    ),
    Tool(
        "BertViz head view",
        "from bertviz import head_view; matrices = weights()",
        "head_view(matrices, tokens)",
        "document.querySelector('[id^=bertviz] #attention line') !== null",
        "document.querySelectorAll('[id^=bertviz] svg > g:last-child rect')[2]",
        'document.querySelector(\'[id^=bertviz] #attention [head-index="1"] line[stroke-opacity="0"]\') !== null',
    ),
    Tool(
        "BertViz model view",
        "from bertviz import model_view; matrices = weights()",
        "model_view(matrices, tokens)",
        "document.querySelector('[id^=bertviz] svg line') !== null",
        "document.querySelector('#attn_background_1_2')?.parentNode.lastChild",
        "document.querySelector('[id^=bertviz] svg .detail line') !== null",
    ),
    # The form that holds its own code, which it takes where there is no network.
    Tool(
        "CircuitsVis attention_heads",
        "from circuitsvis.attention import attention_heads\n"
        "from IPython.display import HTML, display\nmatrices = weights()[0][0]",
        "display(HTML(attention_heads(matrices, tokens).local_src))",
        f"{_DRAWN}.length && {_DRAWN}.every((canvas) => canvas.getContext('2d').getImageData("
        "canvas.width >> 1, canvas.height * 3 >> 2, 1, 1).data[3] > 0)",
        "document.querySelectorAll('[id^=circuits-vis] h4')[2]",
        "[...document.querySelectorAll('[id^=circuits-vis] h3')].some((title) => /2 Zoomed/.test(title.textContent))",
        layers=1,
    ),
)


@dataclass(frozen=True)
class Case:
    """A tool at one length; served, with what it would load from a network."""

    tool: int
    n: int
    layers: int
    heads: int
    served: bool = True

    def __str__(self) -> str:
        shown = TOOLS[self.tool].layers or self.layers
        return f"{TOOLS[self.tool].name}, {shown} x {self.heads} heads, n={self.n}"

    @property
    def needed(self) -> float:
        """Bytes of the list of Python floats that a matrix becomes, and of the matrices it is made from."""
        tool = TOOLS[self.tool]
        return tool.dense * ((tool.layers or self.layers) * 32 + self.layers * 4) * self.heads * self.n**2


def others_rows() -> Iterator[dict[str, Any]]:
    """What lands in the notebook, time to a picture and to another head, memory of the kernel."""
    if why := _install():
        yield row("other tools", None, "", why)
        return
    for number, tool in enumerate(TOOLS):
        failed = ""
        if "BertViz" in tool.name:
            case = Case(number, *CASES[0], served=False)
            yield from _rows(f"{case}, offline", _apart(case))
        for case in (Case(number, *shape) for shape in CASES):
            if case.needed > MEMORY:
                failed = f"not run: needs {case.needed / 1e9:.0f} GB as Python floats"
            found = {"why": failed} if failed else _apart(case)
            yield from _rows(str(case), found)
            if "why" in found:
                failed = "not run: it did not show the case before"


def _rows(what: str, found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "why" in found:
        yield row(f"{what}: first picture", None, "s", found["why"])
    else:
        yield row(f"{what}: first picture", found["first"], "s", f"of which Python {found['python']:.2f} s")
        yield row(f"{what}: another head", found["other"], "ms")
    if "sent" in found:
        yield row(f"{what}: in the notebook", found["sent"] / 1e6, "MB")
        yield row(f"{what}: peak memory of the kernel", found["peak"], "GB")


def _install() -> str:
    """Fetch the other tools once; why that was not possible, or nothing."""
    python, node = INSTALLED / "python", INSTALLED / "node_modules"
    libraries = [name for name, _ in LIBRARIES.values()]
    for folder, command in (
        (python, [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", python, *PYTHON_PACKAGES]),
        (node, ["npm", "install", "--silent", "--no-save", "--prefix", INSTALLED, *libraries]),
    ):
        if not folder.exists():
            INSTALLED.mkdir(parents=True, exist_ok=True)
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                return f"not installed: {(done.stderr or done.stdout).strip().splitlines()[-1:]}"
    return ""


def _apart(case: Case) -> dict[str, Any]:
    """What a case says in a process of its own, which ends when it takes too long or too much."""
    command = [sys.executable, "-m", "tests.benchmarks.others", json.dumps(asdict(case))]
    with tempfile.TemporaryFile("w+") as said:
        process = psutil.Popen(command, stdout=said, stderr=subprocess.DEVNULL)
        deadline, why = time.monotonic() + 2 * PATIENCE, ""
        while process.poll() is None and not why:
            time.sleep(0.2)
            if _resident(process) > MEMORY:
                why = f"ended: kernel, server and browser took more than {MEMORY / 1e9:.0f} GB"
            elif time.monotonic() > deadline:
                why = f"no picture within {PATIENCE} s, and the page answered no more"
        for child in [*process.children(recursive=True), process] if why else []:
            child.kill()
        process.wait()
        said.seek(0)
        lines = said.read().splitlines()
    return {"why": why} if why else json.loads(lines[-1]) if lines else {"why": "the benchmark of it crashed"}


def _resident(process: psutil.Process) -> int:
    total = 0
    for one in (process, *process.children(recursive=True)):
        try:
            total += one.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def main() -> None:
    """Measure the case on the command line, and print what was found."""
    case = Case(**json.loads(sys.argv[1]))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        lab = Lab(Path(folder))
        browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
        try:
            print(json.dumps(_measure(case, lab, browser)), flush=True)
        finally:
            lab.stop()
            browser.close()


def _measure(case: Case, lab: Lab, browser: Browser) -> dict[str, Any]:
    tool = TOOLS[case.tool]
    # Requests of JupyterLab's service worker would go past the route below.
    page = browser.new_context(viewport={"width": 1500, "height": 1400}, service_workers="block").new_page()
    crashed: list[Any] = []
    page.on("crash", lambda gone: crashed.append(gone))  # noqa: PLW0108 - a bound method of a list takes no attributes
    page.route(re.compile("^https:"), lambda route: _serve(route, served=case.served))
    setup = _SETUP.format(**asdict(case), installed=str(INSTALLED / "python"), before=tool.before)
    cells = [setup, _SHOW.format(show=tool.show)]
    notebook = Notebook(lab, page, write_notebook(lab.folder / "work" / "others.ipynb", cells))
    notebook.run_cell(0)
    if case.served and "BertViz" in tool.name:
        # It does not wait until the one it asks for itself has come.
        page.add_script_tag(path=_library("require.js"))
    # Offline a page that has failed stays as it is: it says nothing, and shows nothing.
    patience = PATIENCE if case.served else PATIENCE // 3
    page.set_default_timeout(1000 * patience)
    try:
        page.evaluate(f"void (window.first = ({_TIMED})([null, null, {json.dumps(tool.first)}]))")
        page.evaluate(_START)
        page.wait_for_function(f"Boolean({tool.first}) || {_COMPLAINT}", polling=500)
        if complaint := page.evaluate(_COMPLAINT):
            return {"why": f"no picture: {complaint}"} | _cost(notebook)
        seen = page.evaluate("window.first")[0] / 1000
        found = {"first": seen - notebook.value("called"), "python": notebook.value("shown - called")}
        page.wait_for_function(f"Boolean({tool.other})")
        _look(page)
        other = page.evaluate(_TIMED, [tool.other, tool.event, tool.switched])[1]
        return found | {"other": other} | _cost(notebook)
    except Error as error:
        if crashed:
            return {"why": "no picture: the page crashed"}
        return {"why": f"no picture within {patience} s" if "Timeout" in str(error) else str(error).splitlines()[0]}


# What JupyterLab writes in place of an output, or null.
_COMPLAINT = """(/Javascript Error:[^\\n]*|[A-Z]\\w+Error:[^\\n]*/.exec(
  [...document.querySelectorAll('.jp-OutputArea-output pre, .jp-OutputArea-output[data-mime-type*=error]')]
    .map((output) => output.textContent).join('\\n')) ?? [null])[0]"""


def _cost(notebook: Notebook) -> dict[str, Any]:
    """Bytes of the output, the state of a widget included, and the largest size of the kernel in GB."""
    state = "{k: v for k, v in view.get_state().items() if isinstance(v, (str, int))} if 'view' in globals() else ''"
    peak = int(notebook.value("open('/proc/self/status').read().split('VmHWM:')[1].split()[0]")) / 2**20
    return {"sent": notebook.value("sent") + len(json.dumps(notebook.value(state))), "peak": peak}


def _look(page: Page) -> None:
    """A person looks before the next click; by then everything has been painted."""
    page.evaluate("new Promise((resolve) => requestIdleCallback(() => setTimeout(resolve, 1500)))")


def _library(name: str) -> Path:
    return INSTALLED / "node_modules" / LIBRARIES[name][1]


def _serve(route: Route, *, served: bool) -> None:
    """Nothing comes from a network; what BertViz asks of one comes from here where that is wanted."""
    name = next((name for name in LIBRARIES if served and name in route.request.url), None)
    if name is None:
        route.abort()
    else:
        route.fulfill(path=_library(name), content_type="text/javascript")


if __name__ == "__main__":
    main()

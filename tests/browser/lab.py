"""A real JupyterLab and a real kernel for tests: started, driven, and taken down again."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
from jupyter_client import BlockingKernelClient
from nbformat.sign import NotebookNotary

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--js-flags=--expose-gc",
]

RUN_CELL = """(index) => {
  const { content } = window.jupyterapp.shell.currentWidget;
  content.deselectAll();
  content.activeCellIndex = index;
  return window.jupyterapp.commands.execute("notebook:run-cell");
}"""


def chromium() -> str:
    """Path of a Chromium, from CHROMIUM or the PATH."""
    wanted = [os.environ.get("CHROMIUM"), *map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))]
    found = next((path for path in wanted if path and Path(path).exists()), None)
    if found is None:
        raise RuntimeError("no Chromium here: set CHROMIUM to its path, or run `make chromium`.")
    return found


class Lab:
    """A JupyterLab server on a free port, with a folder of its own.

    Parameters
    ----------
    folder : Path
        Where all of it lies.
    without : str
        An extension that is not there.
    policy : str
        The Content-Security-Policy that it sends.
    """

    def __init__(self, folder: Path, *, without: str = "", policy: str = "") -> None:
        self.folder = folder
        self.token = "attention"
        self.runtime = folder / "runtime"
        config = folder / "config" / "labconfig"
        config.mkdir(parents=True)
        # The news prompt would fetch from outside and cover the notebook.
        disabled = ["@jupyterlab/apputils-extension:announcements", *filter(None, [without])]
        (config / "page_config.json").write_text(json.dumps({"disabledExtensions": dict.fromkeys(disabled, True)}))
        settings = {"headers": {"Content-Security-Policy": policy}} if policy else {}
        (folder / "work").mkdir()
        environment = os.environ | {
            "JUPYTER_CONFIG_DIR": str(folder / "config"),
            "JUPYTER_DATA_DIR": str(folder / "data"),
            "JUPYTER_RUNTIME_DIR": str(self.runtime),
            "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
            "IPYTHONDIR": str(folder / "ipython"),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
        }
        self.log = (folder / "lab.log").open("w")
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--port=0"),
                f"--ServerApp.root_dir={folder / 'work'}",
                f"--IdentityProvider.token={self.token}",
                f"--ServerApp.tornado_settings={settings}",
                *(f"--{app}.expose_app_in_browser=True" for app in ("LabApp", "JupyterNotebookApp")),
            ],
            env=environment,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )
        self.url = self._await_url()

    def _await_url(self) -> str:
        facts = self.runtime / f"jpserver-{self.process.pid}.json"
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                url = json.loads(facts.read_text())["url"]
                urllib.request.urlopen(f"{url}api/status?token={self.token}", timeout=5).read()
            except (OSError, ValueError):
                time.sleep(0.1)  # the server is another process: there is nothing to await but its answer
            else:
                return str(url)
        raise RuntimeError(f"JupyterLab did not start:\n{(self.folder / 'lab.log').read_text()[-3000:]}")

    def get(self, path: str) -> object:
        """Answer of the server's REST interface."""
        with urllib.request.urlopen(f"{self.url}{path}?token={self.token}", timeout=10) as answer:
            return json.load(answer)

    def trust(self, path: Path) -> None:
        """Sign a notebook that was written beside JupyterLab, as if its owner had run it here."""
        notary = NotebookNotary(data_dir=str(self.folder / "data"))
        notary.sign(nbformat.read(path, 4))
        notary.store.close()

    def stop(self) -> None:
        """End the server and its kernels."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()


class Wire:
    """The sockets between a page and its kernels: a test cuts and mends them, and loses what comes from the kernel."""

    def __init__(self, page: object) -> None:
        self.loses = lambda _message: False
        self._whole = True
        self._sockets = []
        page.route_web_socket(re.compile("/channels"), self._join)

    def _join(self, socket: object) -> None:
        if not self._whole:
            socket.close()
            return
        self._sockets.append(socket)
        socket.connect_to_server().on_message(lambda message: None if self.loses(message) else socket.send(message))

    def cut(self) -> None:
        """End every connection and let none begin."""
        self._whole = False
        for socket in self._sockets:
            socket.close()
        self._sockets.clear()

    def mend(self) -> None:
        """Let connections begin."""
        self._whole = True


def _is_hosts_own(error: object) -> bool:
    """Whether an error came out of JupyterLab's own code alone, as when it scrolls cells away that it just moved."""
    frames = re.findall(r"(?:https?|blob):\S+", getattr(error, "stack", None) or "")
    return bool(frames) and all("/static/lab/" in frame or "/static/notebook/" in frame for frame in frames)


class Notebook:
    """A notebook open in JupyterLab, and a line to its kernel.

    Parameters
    ----------
    lab : Lab
        The server.
    page : Page
        Where it opens.
    path : Path
        The file.
    kernel : bool
        Whether to start one; without, the notebook's own must not exist, and the dialog's "No Kernel" is chosen.
    tree : {"doc/tree", "notebooks"}
        Whether JupyterLab shows it, or Notebook 7 of the same server.
    """

    def __init__(self, lab: Lab, page: object, path: Path, *, kernel: bool = True, tree: str = "doc/tree") -> None:
        self.lab, self.page, self.path, self.tree = lab, page, path, tree
        self.errors: list[str] = []
        page.on("pageerror", lambda error: None if _is_hosts_own(error) else self.errors.append(str(error)))
        self.kernel = None
        if kernel:
            self.open()
            self.kernel = self._connect()
        else:
            self.open(idle=False)
            page.locator(".jp-Dialog").get_by_role("button", name="No Kernel").click(timeout=60_000)
        if tree == "notebooks":
            self.errors.clear()  # its own, of plugins of JupyterLab's that it leaves out

    def open(self, *, idle: bool = True) -> None:
        """Load the page, again if need be, and wait for the notebook, and for its kernel where that will be idle."""
        page = self.page
        page.goto(f"{self.lab.url}{self.tree}/{self.path.name}?token={self.lab.token}")
        # Where the last window's workspace has not been given up yet, JupyterLab moves to another address.
        page.wait_for_function("window.jupyterapp?.restored.then(() => true)", timeout=60_000)
        page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=60_000)
        if idle:
            self.await_kernel()

    def await_kernel(self) -> None:
        """Wait until the kernel is idle."""
        self.page.wait_for_function(
            """() => {
              const panel = window.jupyterapp.shell.currentWidget;
              return panel?.sessionContext?.session?.kernel?.status === "idle";
            }""",
            timeout=120_000,
        )

    def save(self) -> None:
        """Write the notebook into its file."""
        self.page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")

    def restart(self) -> None:
        """Restart the kernel, as the menu does once it has asked."""
        self.page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")

    def _connect(self) -> BlockingKernelClient:
        identity = self.page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.id")
        client = BlockingKernelClient(connection_file=str(self.lab.runtime / f"kernel-{identity}.json"))
        client.load_connection_file()
        client.start_channels()
        client.wait_for_ready(timeout=60)
        return client

    def run_all(self) -> None:
        """Run every cell and wait until the last has ended."""
        self.page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")

    def run_cell(self, index: int) -> None:
        """Run one cell and wait until it has ended."""
        self.page.evaluate(f"async () => {{ await ({RUN_CELL})({index}); }}")

    def start_cell(self, index: int) -> None:
        """Run one cell and do not wait."""
        self.page.evaluate(f"() => {{ void ({RUN_CELL})({index}); }}")

    def start_all(self) -> None:
        """Run every cell and do not wait."""
        self.page.evaluate("void window.jupyterapp.commands.execute('notebook:run-all-cells')")

    def execute(self, code: str) -> None:
        """Run code in the kernel, beside the notebook; an error in it is an error here."""
        answer = self.kernel.execute_interactive(code, timeout=120, output_hook=lambda _message: None)
        assert answer["content"]["status"] == "ok", answer["content"]

    def set_theme(self, name: str) -> None:
        """Choose one of JupyterLab's themes, and wait for it."""
        self.page.evaluate("(theme) => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", name)
        self.page.locator(f"body[data-jp-theme-name='{name}']").wait_for(state="attached")

    def interrupt(self) -> None:
        """Interrupt the cell that runs, also where the page has just been loaded and knows no kernel yet."""
        for session in self.lab.get("api/sessions"):
            if session["path"] == self.path.name:
                address = f"{self.lab.url}api/kernels/{session['kernel']['id']}/interrupt?token={self.lab.token}"
                urllib.request.urlopen(urllib.request.Request(address, method="POST"), timeout=20).read()

    def value(self, expression: str) -> object:
        """Value of a Python expression in the kernel, through JSON."""
        code = "import json as _json"
        answer = self.kernel.execute_interactive(
            code,
            timeout=120,
            output_hook=lambda _message: None,
            user_expressions={"value": f"_json.dumps({expression})"},
        )
        result = answer["content"]["user_expressions"]["value"]
        assert result["status"] == "ok", result
        return json.loads(ast.literal_eval(result["data"]["text/plain"]))

    def await_value(self, expression: str, wanted: object, *, seconds: float = 30) -> None:
        """Wait until a Python expression has a value: what a browser sends is seen by Python a little later."""
        deadline = time.monotonic() + seconds
        while (found := self.value(expression)) != wanted:
            assert time.monotonic() < deadline, f"{expression} is {found!r}, and not {wanted!r}"

    def cell(self, index: int) -> object:
        """The index-th cell on the page, with its outputs."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index)

    def output(self, index: int) -> object:
        """What the index-th cell has put out, without its source: that may hold the very text which is waited for."""
        return self.cell(index).locator(".jp-Cell-outputArea")

    def widget(self, index: int = 0) -> object:
        """The index-th Explorer on the page."""
        return self.page.locator("[data-attnwidget=explorer]").nth(index)

    def close(self) -> None:
        """Shut the kernel down and close the page."""
        if self.kernel is not None:
            self.kernel.stop_channels()
        for session in self.lab.get("api/sessions"):
            request = urllib.request.Request(
                f"{self.lab.url}api/sessions/{session['id']}?token={self.lab.token}", method="DELETE"
            )
            urllib.request.urlopen(request, timeout=20).read()
        self.page.close()


def write_notebook(path: Path, cells: list[str]) -> Path:
    """A notebook of code cells."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)
    return path

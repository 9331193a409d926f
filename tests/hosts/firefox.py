"""A headless Firefox without a network, driven by the protocol it speaks itself (WebDriver BiDi)."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import websocket

PREFERENCES = {
    # Whatever is asked of a network goes to a proxy that is not there.
    "network.proxy.type": 1,
    "network.proxy.socks": "127.0.0.1",
    "network.proxy.socks_port": 9,
    "network.proxy.failover_direct": False,
    "network.proxy.allow_hijacking_localhost": True,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
}


def firefox() -> str:
    """Path of a Firefox, from FIREFOX or the PATH."""
    wanted = [os.environ.get("FIREFOX"), *map(shutil.which, ("firefox-esr", "firefox"))]
    found = next((path for path in wanted if path and Path(path).exists()), None)
    if found is None:
        raise RuntimeError("no Firefox here: set FIREFOX to its path, or run `make firefox`.")
    return found


class Firefox:
    """One Firefox with one page."""

    def __init__(self, folder: Path) -> None:
        lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in PREFERENCES.items())
        (folder / "user.js").write_text("\n".join(lines))
        self.requests: list[str] = []
        """Addresses that pages asked for, themselves and what they are made of included."""
        self.errors: list[str] = []
        """What went wrong in pages, as the console says it."""
        self._numbers = itertools.count()
        self.log = (folder / "firefox.log").open("w")
        self.process = subprocess.Popen(
            [firefox(), "--headless", "--no-remote", "--profile", str(folder), "--remote-debugging-port=0"],
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )
        self._socket = self._connect(folder)
        self._ask("session.new", capabilities={})
        self._ask("session.subscribe", events=["network.beforeRequestSent", "log.entryAdded"])
        self._page = self._ask("browsingContext.getTree")["contexts"][0]["context"]

    def _connect(self, folder: Path) -> websocket.WebSocket:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                port = json.loads((folder / "WebDriverBiDiServer.json").read_text())["ws_port"]
                return websocket.create_connection(f"ws://127.0.0.1:{port}/session", timeout=60, suppress_origin=True)
            except (OSError, ValueError):
                time.sleep(0.1)  # another process: there is nothing to await but its answer
        raise RuntimeError(f"Firefox did not start:\n{(folder / 'firefox.log').read_text()[-3000:]}")

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == number:
                assert message["type"] == "success", message
                return message["result"]
            event = message.get("params", {})
            if message.get("method") == "network.beforeRequestSent":
                self.requests.append(event["request"]["url"])
            elif message.get("method") == "log.entryAdded" and event["level"] == "error":
                self.errors.append(event["text"])

    def open(self, page: Path) -> None:
        """Load a page from disk and wait until it has loaded."""
        self.requests.clear()
        self.errors.clear()
        self._ask("browsingContext.navigate", context=self._page, url=page.resolve().as_uri(), wait="complete")

    def evaluate(self, expression: str) -> Any:
        """Value of a JavaScript expression in the page, or of what it promises, through JSON."""
        answer = self._ask(
            "script.evaluate",
            expression=f"Promise.resolve({expression}).then((value) => JSON.stringify(value) ?? 'null')",
            target={"context": self._page},
            awaitPromise=True,
        )
        assert answer["type"] == "success", answer["exceptionDetails"]["text"]
        return json.loads(answer["result"]["value"])

    def await_value(self, expression: str, wanted: Any, *, seconds: float = 30) -> None:
        """Wait until a JavaScript expression has a value."""
        deadline = time.monotonic() + seconds
        while (found := self.evaluate(f"new Promise(requestAnimationFrame).then(() => {expression})")) != wanted:
            assert time.monotonic() < deadline, f"{expression} is {found!r}, and not {wanted!r}; {self.errors}"

    def screenshot(self, path: Path) -> None:
        """Write what is on the screen as PNG."""
        path.write_bytes(base64.b64decode(self._ask("browsingContext.captureScreenshot", context=self._page)["data"]))

    def stop(self) -> None:
        """End Firefox."""
        self._ask("browser.close")
        self._socket.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()

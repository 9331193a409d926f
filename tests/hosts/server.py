"""A host's own server, started as a person would and taken down again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

PROGRAMS = Path(sys.executable).parent


class Server:
    """A program of this environment that serves on a free port; in its arguments ``{port}`` is that port."""

    def __init__(self, command: list[str], folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder / "server.log"
        program, *arguments = (word.replace("{port}", str(self.port)) for word in command)
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [str(PROGRAMS / program), *arguments],
                cwd=folder,
                env=os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._await_answer()

    def _await_answer(self) -> None:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                urllib.request.urlopen(self.url, timeout=60).read()
            except urllib.error.HTTPError:
                return  # an answer, if none that is liked
            except OSError:
                time.sleep(0.1)  # another process: there is nothing to await but its answer
            else:
                return
        self.stop()
        raise RuntimeError(f"{self.process.args} did not answer:\n{self._log.read_text()[-3000:]}")

    def stop(self) -> None:
        """End the server and what it started."""
        for sign, patience in ((signal.SIGINT, 10), (signal.SIGKILL, None)):
            if self.process.poll() is None:
                os.killpg(self.process.pid, sign)
            try:
                self.process.wait(patience)
                break
            except subprocess.TimeoutExpired:
                continue

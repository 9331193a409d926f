"""Folder: where a survey stands on the disk, so that it goes on where it ended, and nothing counts twice."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from attnwidget.files import beside
from attnwidget.surveying.storing import State, read, write

__all__ = ["Folder"]

MANIFEST, STATE, LOCK = "survey.json", "survey.safetensors", ".survey.lock"


class Folder:
    """A folder with one survey: what it is of, and what is done of it.

    Parameters
    ----------
    path : str or Path
        The folder; it is made where there is none.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @contextmanager
    def held(self, about: Mapping[str, Any]) -> Iterator[State]:
        """Hold the folder for a survey, and say what is done of it.

        Parameters
        ----------
        about : mapping
            What the survey is of, in plain values.

        Yields
        ------
        State
            What is done.

        Raises
        ------
        ValueError
            When it holds another survey, or somebody is at work in it.
        OSError
            When it cannot be written to.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise ValueError(
                f"another survey is at work in {self.path}; wait until it has ended, or give another folder."
            ) from None
        try:
            state = read(self.path / STATE)[0] if (self.path / STATE).exists() else None
            yield self._claimed(about, state)
        finally:
            lock.release()

    def write(self, state: State, measures: tuple[str, ...]) -> None:
        """Have what is done on the disk."""
        write(self.path / STATE, state, measures)

    def put(self, state: State, measures: tuple[str, ...], about: Mapping[str, Any]) -> None:
        """Write a survey that was made elsewhere.

        Raises
        ------
        ValueError
            When the folder holds one.
        """
        if (self.path / STATE).exists() or (self.path / MANIFEST).exists():
            raise ValueError(f"{self.path} holds a survey; give another folder.")
        with self.held(about):
            self.write(state, measures)

    def read(self) -> tuple[State, tuple[str, ...], dict[str, Any]]:
        """What is done, the names of its measures, and what it is of.

        Raises
        ------
        FileNotFoundError
            When there is no survey.
        ValueError
            When it cannot be read.
        """
        if not (self.path / STATE).is_file():
            raise FileNotFoundError(
                f"{self.path} holds no survey; expected a folder that aw.survey(..., folder=) or Survey.save wrote."
            )
        return *read(self.path / STATE), self._about()

    def _about(self) -> dict[str, Any]:
        try:
            held = json.loads((self.path / MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise ValueError(
                f"{self.path / MANIFEST} does not say what the survey beside it is of: {error}."
            ) from error
        if not isinstance(held, dict):
            raise ValueError(f"{self.path / MANIFEST} holds {type(held).__name__}; expected what a survey is of.")  # noqa: TRY004
        return held

    def _claimed(self, about: Mapping[str, Any], state: State | None) -> State:
        """Say whose folder it is, or see that it is ours; gives what is done."""
        wanted = json.loads(json.dumps(about))
        if not (self.path / MANIFEST).exists():
            if state is not None:
                raise ValueError(
                    f"{self.path} holds a survey of which nothing says what it is of; give another folder."
                )
            self._say(wanted)
            return State()
        held = self._about()
        differing = [name for name in {**held, **wanted} if held.get(name) != wanted.get(name)]
        if differing and (state is None or state.tally is None) and {"model", "measures"} <= held.keys():
            # A call that came to nothing keeps nobody from the right one.
            (self.path / STATE).unlink(missing_ok=True)
            self._say(wanted)
            return State()
        if differing:
            name = differing[0]
            raise ValueError(
                f"{self.path} holds another survey: its {name} is {held.get(name)!r}, and this one's is "
                f"{wanted.get(name)!r}. Give another folder."
            )
        return state or State()

    def _say(self, about: Mapping[str, Any]) -> None:
        with beside(self.path / MANIFEST) as unfinished:
            unfinished.write_text(json.dumps(about, indent=1), encoding="utf-8")

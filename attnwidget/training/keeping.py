"""Keeping: the maps of a probe at the steps at which it was read, a file each."""

from __future__ import annotations

import shutil
import tempfile
import warnings
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, unquote

from attnwidget.files import beside
from attnwidget.intake import AttentionWarning
from attnwidget.maps import AttentionMaps
from attnwidget.measures.faults import outside

__all__ = ["Keeping", "KeptMaps"]

ENDING = ".safetensors"


class KeptMaps:
    """Maps by their step; where there are more than so many, every second step is let go.

    A copy of one whose folder goes with it has a folder of its own; what is sent to another process has not.

    Parameters
    ----------
    folder : Path or None
        Where they are written, a file for each step and maps; None for one that goes with this object.
    most : int or None
        How many steps are kept; None for any number.
    """

    def __init__(self, folder: Path | None = None, most: int | None = None) -> None:
        self.most = most
        self.folder = Path(tempfile.mkdtemp(prefix="attnwidget-")) if folder is None else Path(folder)
        self._goes = folder is None
        if folder is None:
            weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)

    def __getstate__(self) -> dict[str, Any]:
        """As what does not own the folder."""
        return self.__dict__ | {"_goes": False}

    @classmethod
    def beside(cls, path: Path, most: int | None = None) -> Self:
        """Those that belong to a file of readings: "a.maps" beside "a.jsonl", "a.txt.maps" beside "a.txt"."""
        return cls(path.with_name(path.name.removesuffix(".jsonl") + ".maps"), most)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Another one with the same maps."""
        del memo  # nothing in it is shared
        if not self._goes:
            return type(self)(self.folder, self.most)
        made = type(self)(None, self.most)
        shutil.copytree(self.folder, made.folder, dirs_exist_ok=True)
        return made

    @property
    def steps(self) -> list[int]:
        """Whose maps there are, in order."""
        return sorted({int(one.name.partition(".")[0]) for one in self._files("*")})

    def put(self, step: int, maps: Mapping[str, AttentionMaps]) -> None:
        """Keep maps of a step: whole, or not at all.

        Raises
        ------
        OSError
            When they cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, one in maps.items():
            with beside(self.folder / f"{step:010d}.{quote(name, safe='')}{ENDING}") as unfinished:
                one.save(unfinished)
        self._thin(step)

    def clear(self) -> None:
        """Let all of them go.

        Raises
        ------
        OSError
            When they cannot be removed.
        """
        for one in self._files("*"):
            one.unlink(missing_ok=True)

    def get(self, step: int) -> dict[str, AttentionMaps]:
        """The maps of a step by their names; empty where they were not kept."""
        found = {}
        for one in sorted(self._files(f"{step:010d}")):
            name = unquote(one.name.partition(".")[2].removesuffix(ENDING))
            found[name] = AttentionMaps.load(one)
        return found

    def _files(self, step: str) -> list[Path]:
        # What is being written has a dot in front.
        files = self.folder.glob(f"{step}.*{ENDING}")
        return [one for one in files if one.name.partition(".")[0].isdecimal()]

    def _thin(self, newest: int) -> None:
        """The newest stays, then the first, and of those between every second, until there are few enough."""
        others = [step for step in self.steps if step != newest]
        while self.most is not None and len(others) >= self.most:
            gone = others[1::2] if self.most > 1 else others
            others = [step for step in others if step not in gone]
            for step in gone:
                for one in self._files(f"{step:010d}"):
                    one.unlink(missing_ok=True)


class Keeping:
    """The maps that a monitor keeps; where that fails it is said once, and training goes on.

    Parameters
    ----------
    path : str, Path, or None
        The file of readings that they belong to.
    most : int
        Of how many readings; 0 for none.
    """

    def __init__(self, path: str | Path | None, most: int) -> None:
        self._path = None if path is None else Path(path)
        self.kept: KeptMaps | None = None
        if most:
            self.kept = KeptMaps(most=most) if self._path is None else KeptMaps.beside(self._path, most)
        self._told = False

    def begin(self) -> None:
        """Let the maps of a former run go, whose readings are gone."""
        if self._path is None or (self._path.is_file() and self._path.stat().st_size):
            return
        former = KeptMaps.beside(self._path)
        try:
            former.clear()
        except OSError as error:
            warnings.warn(
                f"the maps of a former run could not be removed from {former.folder} ({error}). Training goes on; a "
                "Timeline may show them for those of this run.",
                AttentionWarning,
                outside(),
            )

    def put(self, step: int, maps: Mapping[str, AttentionMaps]) -> None:
        """Keep the maps of a reading."""
        if self.kept is None:
            return
        try:
            self.kept.put(step, maps)
        except OSError as error:
            if not self._told:
                self._told = True
                warnings.warn(
                    f"the maps of step {step} could not be kept in {self.kept.folder} ({error}). Training goes on, and "
                    "so do the numbers; a Timeline lacks these maps.",
                    AttentionWarning,
                    outside(),
                )

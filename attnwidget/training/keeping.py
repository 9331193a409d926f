"""Keeping: the maps of a probe at the steps at which it was read, a file each."""

from __future__ import annotations

import shutil
import tempfile
import warnings
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Self
from urllib.parse import quote, unquote

from attnwidget.files import beside
from attnwidget.intake import AttentionWarning
from attnwidget.maps import AttentionMaps
from attnwidget.measures.faults import outside

__all__ = ["Keeping", "KeptMaps"]

ENDING = ".safetensors"


class KeptMaps:
    """Maps by their step; where there are more than so many, every second step is let go.

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
        if folder is None:
            weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)

    @classmethod
    def beside(cls, path: Path, most: int | None = None) -> Self:
        """Those that belong to a file of readings: "attention.maps" beside "attention.jsonl"."""
        return cls(path.with_suffix(".maps"), most)

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
        self._thin()

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

    def _thin(self) -> None:
        """The first and the newest stay, and of those between every second."""
        steps = self.steps
        if self.most is None or len(steps) <= self.most:
            return
        for step in steps[1:-1:2]:
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
        self.kept: KeptMaps | None = None
        if most:
            self.kept = KeptMaps(most=most) if path is None else KeptMaps.beside(Path(path), most)
        self._told = False

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

"""Every public name has its reference, every link within the site leads somewhere, and nothing is fetched."""

from __future__ import annotations

from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sphinx.application import Sphinx
from sphinx.util import logging

from extensions.public import public_names

_log = logging.getLogger(__name__)
_FETCHED = {("img", "src"), ("script", "src"), ("iframe", "src"), ("link", "href"), ("source", "srcset")}


class _Read(HTMLParser):
    """Links of a document, what it loads, and the places in it that a link can name."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what it refers to, and how it is called."""
        for name, value in attrs:
            if name == "id" or (tag == "a" and name == "name"):
                self.places.add(value or "")
            elif (tag, name) in _FETCHED and value and dict(attrs).get("rel") != "canonical":
                self.loads.append(value)
            elif (tag, name) == ("a", "href") and value:
                self.links.append(value)


@cache
def _read(path: Path) -> _Read:
    return _Read(path.read_text(encoding="utf-8"))


def faults(folder: Path) -> list[str]:
    """What is wrong with the links of a built site, one sentence each."""
    found = []
    for path in sorted(folder.rglob("*.html")):
        page, here = _read(path), path.relative_to(folder)
        found += [f"{here} loads {url} from outside" for url in page.loads if urlsplit(url).netloc]
        for url in page.links + page.loads:
            parts = urlsplit(url)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                found.append(f"{here} links to {url}, which is not there")
            elif parts.fragment and target.suffix == ".html" and unquote(parts.fragment) not in _read(target).places:
                found.append(f"{here} links to {url}, where no such place is")
    return found


def _check(app: Sphinx, error: Exception | None) -> None:
    if error is not None or app.builder.name != "html":
        return
    known = app.env.domains["py"].objects
    missing = [name for name in public_names() if name not in known]
    for fault in [*(f"{name} is public and has no reference" for name in missing), *faults(Path(app.outdir))]:
        _log.warning(fault)


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx."""
    app.connect("build-finished", _check, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

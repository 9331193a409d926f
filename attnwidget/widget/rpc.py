"""Requests of the browser: every one is answered, errors included, under the id it came with."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from attnwidget.widget.answers import Shown, answer

__all__ = ["forget_shell", "reply"]

_log = logging.getLogger(__name__)


def reply(content: Any, shown: Shown) -> tuple[dict[str, Any], list[bytes]] | None:
    """The reply to one message.

    Parameters
    ----------
    content : mapping
        ``{"id", "op", ...}``; what stands beside them are the arguments of the question.
    shown : Shown
        What the question is about.

    Returns
    -------
    tuple of dict and list of bytes, or None
        ``{"id", "ok", "header"}`` with its buffers, or ``{"id", "ok", "error"}`` with a sentence. None for a message
        that carries no id: there is nobody to answer.
    """
    if not isinstance(content, Mapping) or "id" not in content:
        _log.warning("a message without an id came from the browser and cannot be answered: %r", content)
        return None
    request = dict(content)
    identity = request.pop("id")
    try:
        answered = answer(shown, request)
    except (ValueError, IndexError) as error:
        return _refusal(identity, str(error)), []
    except TypeError as error:
        return _refusal(identity, f"the request {request.get('op')!r} cannot be read: {error}"), []
    except Exception as error:  # noqa: BLE001 - whatever it was, the cell must say so instead of waiting for ever
        _log.debug("request %r failed", request.get("op"), exc_info=True)
        return _refusal(identity, f"{type(error).__name__} while drawing this map: {error}"), []
    return {"id": identity, "ok": True, "header": answered.header}, answered.buffers


def forget_shell(comm: Any) -> None:
    """Let the browser choose which shell of the kernel its next message goes to.

    JupyterLab sends the messages of widgets to a subshell, where they are answered beside a running cell. ipykernel
    since 7.4 hands them to the shell that spoke last on the comm instead, which is the main one, behind that cell.
    """
    if hasattr(comm, "_reply_subshell_id"):
        del comm._reply_subshell_id  # noqa: SLF001
    # It also keeps the id of every answer, for a request of the kernel's own that is never made here.
    getattr(comm, "_reply_subshell_ids", {}).clear()


def _refusal(identity: Any, sentence: str) -> dict[str, Any]:
    return {"id": identity, "ok": False, "error": sentence}

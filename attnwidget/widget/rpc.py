"""Requests of the browser: every one is answered, errors included, under the id it came with."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from attnwidget.widget.answers import Answer  # it imports torch

__all__ = ["forget_shell", "reply"]

Message: TypeAlias = tuple[dict[str, Any], list[bytes]]

LARGEST_REPLY = 4 << 20  # bytes; hosts and proxies refuse or cut much larger messages

_log = logging.getLogger(__name__)


def reply(content: Any, answer: Callable[[Mapping[str, Any]], Answer]) -> list[Message]:
    """The reply to one message.

    Parameters
    ----------
    content : mapping
        ``{"id", "op", ...}``; what stands beside them are the arguments of the question.
    answer : callable
        Answers a question ``{"op", ...}``, or raises.

    Returns
    -------
    list of tuple of dict and list of bytes
        ``{"id", "ok", "header"}`` with its buffers, or ``{"id", "ok", "error"}`` with a sentence. Above 4 MB several:
        ``{"id", "ok", "piece", "pieces"}``, each with one buffer, a part of all buffers one after another; the first
        has the header too, and the ``sizes`` of the buffers. None at all for a message that carries no id: there is
        nobody to answer.
    """
    if not isinstance(content, Mapping) or "id" not in content:
        _log.warning("a message without an id came from the browser and cannot be answered: %r", content)
        return []
    request = dict(content)
    identity = request.pop("id")
    try:
        answered = answer(request)
    except (ValueError, IndexError) as error:
        return [_refusal(identity, str(error))]
    except TypeError as error:
        return [_refusal(identity, f"the request {request.get('op')!r} cannot be read: {error}")]
    except Exception as error:  # noqa: BLE001 - whatever it was, the cell must say so instead of waiting for ever
        _log.debug("request %r failed", request.get("op"), exc_info=True)
        return [_refusal(identity, f"{type(error).__name__} while drawing this map: {error}")]
    return _pieces({"id": identity, "ok": True}, answered)


def forget_shell(comm: Any) -> None:
    """Let the browser choose which shell of the kernel its next message goes to.

    JupyterLab sends the messages of widgets to a subshell, where they are answered beside a running cell. ipykernel
    since 7.4 hands them to the shell that spoke last on the comm instead, which is the main one, behind that cell.
    """
    if hasattr(comm, "_reply_subshell_id"):
        del comm._reply_subshell_id  # noqa: SLF001
    # It also keeps the id of every answer, for a request of the kernel's own that is never made here.
    getattr(comm, "_reply_subshell_ids", {}).clear()


def _refusal(identity: Any, sentence: str) -> Message:
    return {"id": identity, "ok": False, "error": sentence}, []


def _pieces(content: dict[str, Any], answered: Answer) -> list[Message]:
    sizes = [len(buffer) for buffer in answered.buffers]
    if sum(sizes) <= LARGEST_REPLY:
        return [(content | {"header": answered.header}, answered.buffers)]
    together = memoryview(b"".join(answered.buffers))
    starts = range(0, len(together), LARGEST_REPLY)
    messages = [
        (content | {"piece": piece, "pieces": len(starts)}, [bytes(together[start : start + LARGEST_REPLY])])
        for piece, start in enumerate(starts)
    ]
    messages[0][0].update(header=answered.header, sizes=sizes)
    return messages

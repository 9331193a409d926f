"""Turns of a chat, by the markers that models put around them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Turn", "turns"]

# One line a family. What stands in the brackets is who speaks; a turn without a name has it from its marker.
_OPENING = re.compile(
    r"""
    (?: <\|im_start\|> \s* ([\w.-]+)                                                     # ChatML: Qwen, Yi, SmolLM
      | <\|im_(?:user|assistant|system)\|> \s* ([\w.-]+) \s* <\|im_middle\|>             # Kimi
      | <\|start_header_id\|> \s* ([\w.-]+) \s* <\|end_header_id\|>                      # Llama 3
      | <\|header_start\|> \s* ([\w.-]+) \s* <\|header_end\|>                            # Llama 4
      | <start_of_turn> \s* (\w+)                                                        # Gemma
      | <\|start_of_role\|> \s* ([\w.-]+) [^<]* <\|end_of_role\|>                        # Granite
      | <\|START_OF_TURN_TOKEN\|> \s* <\|(\w+)_TOKEN\|>                                  # Cohere
      | <\|start\|> \s* ([\w.-]+)                                                        # gpt-oss
        (?: [^<]* <\|channel\|> \s* (?P<channel>\w+) )? (?: [^<]* <\|constrain\|> )? (?: [^<]* <\|message\|> )?
      | <\|(system|user|assistant|tool|observation)\|>                                   # Phi, Zephyr, GLM
      | <[|\uff5c](User|Assistant)[|\uff5c]>                                             # DeepSeek
      | (?P<marked> \[INST\] \s* <<SYS>> | (?<=<</SYS>>) | \[INST\] | (?<=\[/INST\])     # Llama 2, Mistral
        | \[SYSTEM_PROMPT\] | \[AVAILABLE_TOOLS\] | \[TOOL_RESULTS\] )
    ) \s*
    """,
    re.VERBOSE,
)
_MARKED = {"[INST]": "user", "": "assistant", "[SYSTEM_PROMPT]": "system", "[AVAILABLE_TOOLS]": "tools"}
_CLOSING = re.compile(
    r"(?:<\|(?:im_end|eot_id|eom_id|eot|eom|end|return|call|endoftext|end_of_text|END_OF_TURN_TOKEN)\|>"
    r"|<end_of_turn>|</s>|<eos>|<[|\uff5c]end[_\u2581]of[_\u2581]sentence[|\uff5c]>"
    r"|<</SYS>>|\[/(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_RESULTS)\])\s*"
)


@dataclass(frozen=True)
class Turn:
    """Who speaks, and where in the text: all of it with its markers, and between them.

    Parameters
    ----------
    name : str
        "system", "user", "assistant", or what the model calls it.
    start, stop : int
        First character, and the one after the last.
    body : tuple of int
        The same of what stands between the markers.
    """

    name: str
    start: int
    stop: int
    body: tuple[int, int]


def turns(text: str) -> list[Turn]:
    """The turns of a chat, from the first to the last; none where no marker is found."""
    return list(_turns(text))


def _turns(text: str) -> Iterator[Turn]:
    opened = list(_OPENING.finditer(text))
    for match, stop in zip(opened, [*(other.start() for other in opened[1:]), len(text)], strict=False):
        closing = _CLOSING.search(text, match.end(), stop)
        body = match.end(), closing.start() if closing else stop
        yield Turn(_name(match, text), match.start(), closing.end() if closing else stop, body)


def _name(match: re.Match[str], text: str) -> str:
    if (marked := match["marked"]) is not None:
        if "SYS>>" in marked:
            return "system"
        if not marked:
            return "user" if text[: match.start()].endswith("<</SYS>>") else "assistant"
        return _MARKED.get(marked, "tool")
    channel = match["channel"]
    role = next(group for group in match.groups() if group and group != channel).lower()
    return f"{role} {channel}" if channel else role

"""Every model type that transformers knows, tiny: what a capture gives of the attention that each computes.

python -m tests.capturing.every_type [--only TYPE ...] [--json FILE]
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import re
import resource
import signal
import sys
import time
import warnings
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn
from transformers.models.auto import modeling_auto

from tests.capturing.accounting import account, computed_by
from tests.capturing.feeding import feeds, with_as_many_tokens
from tests.capturing.shrinking import Shrink, config_of

MOST, SECONDS, MEMORY = 20_000_000, 60, 10 * 2**30
CLASSES = ("whole", "in parts", "refused", "no attention", "WRONG", "ERROR", "not built")
# Heads first: what is run in practice.
_TASKS = (
    "SEQ_TO_SEQ_CAUSAL_LM", "IMAGE_TEXT_TO_TEXT", "MULTIMODAL_LM", "SPEECH_SEQ_2_SEQ", "MASKED_LM", "CAUSAL_LM",
    "OBJECT_DETECTION", "ZERO_SHOT_OBJECT_DETECTION", "UNIVERSAL_SEGMENTATION", "INSTANCE_SEGMENTATION",
    "SEMANTIC_SEGMENTATION", "DEPTH_ESTIMATION", "KEYPOINT_DETECTION", "KEYPOINT_MATCHING", "MASK_GENERATION",
    "VIDEO_CLASSIFICATION", "TIME_SERIES_PREDICTION", "CTC", "RNNT", "TDT", "TEXT_TO_SPECTROGRAM", "TEXT_TO_WAVEFORM",
    "", "AUDIO_TOKENIZATION", "IMAGE_CLASSIFICATION", "PRETRAINING", "IMAGE_MATTING", "POSE_ESTIMATION", "RETRIEVAL",
    "TEXT_RECOGNITION", "TABLE_RECOGNITION", "BACKBONE", "IMAGE", "TEXT_ENCODING", "NORMAL_ESTIMATION",
    "DOCUMENT_QUESTION_ANSWERING", "VISUAL_QUESTION_ANSWERING", "SEQUENCE_CLASSIFICATION", "IMAGE_TO_IMAGE",
)  # fmt: skip


class TooLargeError(Exception):
    """A model that is not tiny enough."""


class TooSlow(BaseException):
    """A type has used up its time; no Exception, so that nobody takes it for one of theirs."""


@dataclass
class Outcome:
    kind: str
    model_type: str
    model: str = ""
    seconds: float = 0.0
    why: str = ""
    computed: int = 0
    given: int = 0
    missed: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    false_alarms: list[str] = field(default_factory=list)  # named as missed, and no attention by the other listener
    inputs: dict[str, str] = field(default_factory=dict)
    in_vain: list[str] = field(default_factory=list)  # what was tried before

    def __str__(self) -> str:
        alarms = f" FALSE ALARMS {self.false_alarms[:3]}" if self.false_alarms else ""
        counts = f"{self.given}/{self.computed}" if self.computed else ""
        return f"{self.kind:12} {self.model_type:32} {self.model:44} {counts:7} {self.why[:300]}{alarms}"


def classes_of(model_type: str) -> list[str]:
    """Names of the classes of a type, those with a head first."""
    found = []
    for task in _TASKS:
        one = "MODEL_MAPPING_NAMES" if not task else f"MODEL_FOR_{task}_MAPPING_NAMES"
        for table in (
            getattr(modeling_auto, one, None),
            getattr(modeling_auto, one.removesuffix("_MAPPING_NAMES") + "_NAMES", None),
        ):
            names = (table or {}).get(model_type, ())
            found += [names] if isinstance(names, str) else list(names)
    return list(dict.fromkeys(found))


def model_types() -> list[str]:
    """Types with a class of their own."""
    return [one for one in transformers.CONFIG_MAPPING if classes_of(one)]


@contextmanager
def at_most(number: int):
    """Stop the making of a model that has more parameters, before they are written."""
    register, count = nn.Module.register_parameter, 0

    def counted(self, name, param):
        nonlocal count
        count += 0 if param is None else param.numel()
        if count > number:
            raise TooLargeError(f"more than {number} parameters, at {type(self).__name__}.{name}")
        return register(self, name, param)

    nn.Module.register_parameter = counted
    try:
        yield
    finally:
        nn.Module.register_parameter = register


def built(name: str, config: Any) -> nn.Module:
    """A model with weights that make attention uneven, and no zeros that would prove nothing."""
    torch.manual_seed(0)
    kind = getattr(transformers, name)
    if kind.config_class is not None and not isinstance(config, kind.config_class):
        inside = [one for one in vars(config).values() if isinstance(one, kind.config_class)]
        config = inside[0] if inside else config
    with at_most(MOST):
        model = kind(config).float().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.isfinite().all() or (parameter.numel() > 1 and not parameter.any()):
                parameter.copy_(torch.randn_like(parameter) / 10)
            elif parameter.ndim > 1 and 1e-4 < float(parameter.std()) < 0.05:
                parameter.mul_(5)
    return model


def first_that_runs(model_type: str, attempts: list[str]) -> tuple[nn.Module, dict[str, Any], list[Any]]:
    """A model of a type, inputs that it takes, and the attention that it computes of them."""
    for name in classes_of(model_type):
        for shrink in (Shrink(), Shrink(sections=True), Shrink(factor=16), Shrink(factor=8), Shrink(factor=1)):
            shrink.tokens.known.clear()
            try:
                model = built(name, config_of(model_type, shrink))
            except Exception as error:  # noqa: BLE001 - of any kind, from anybody's code
                attempts.append(f"{name} shrunk by {shrink.factor}: {_short(error)}")
                continue
            for inputs in feeds(model):
                for given in _mended(model, inputs, attempts):
                    return model, *given
    raise LookupError("nothing ran")


def _mended(model, inputs, attempts):
    for _ in range(3):
        try:
            torch.manual_seed(0)
            yield inputs, computed_by(model, inputs)
        except Exception as error:  # noqa: BLE001
            attempts.append(f"{type(model).__name__}({', '.join(inputs)}): {_short(error)}")
            inputs = with_as_many_tokens(inputs, model.config, error)
            if inputs is None:
                return
        else:
            return


def _short(error: BaseException) -> str:
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__} {' '.join(str(error).split())[-260:]} [{where}]"


def tried(model_type: str) -> tuple[Outcome, list[str]]:
    """What becomes of one type, and what was tried in vain."""
    attempts: list[str] = []
    begun = time.perf_counter()
    signal.signal(signal.SIGALRM, _out_of_time)
    signal.alarm(SECONDS)
    try:
        try:
            model, inputs, computed = first_that_runs(model_type, attempts)
        except LookupError:
            return Outcome("not built", model_type, why=attempts[0] if attempts else "no class"), attempts
        one = judged(model_type, model, inputs, computed)
        one.inputs = {
            name: str(list(v.shape)) if isinstance(v, torch.Tensor) else str(type(v)) for name, v in inputs.items()
        }
        one.seconds = time.perf_counter() - begun
    except TooSlow:
        return Outcome("not built", model_type, why=f"took more than {SECONDS} s; {attempts[-1:]}"), attempts
    else:
        return one, attempts
    finally:
        signal.alarm(0)
        gc.collect()


def _out_of_time(*_: Any) -> None:
    raise TooSlow


def accounted(model: nn.Module, inputs: dict[str, Any], computed: list[Any]) -> tuple[Any, Any, str]:
    """The account of a model against an eager pass; where that differs, against one of the model as it is loaded."""
    result, run = account(model, inputs, computed)
    if result.honest:
        return result, run, ""
    again, run_again = account(model, inputs, computed_by(model, inputs, eager=False))
    if again.honest:
        return again, run_again, "equal to the model as it is loaded, whose eager pass differs"
    return result, run, ""


def judged(model_type: str, model: nn.Module, inputs: dict[str, Any], computed: list[Any]) -> Outcome:
    """Hold a capture against what was computed."""
    one = Outcome("", model_type, type(model).__name__, computed=len(computed))
    try:
        result, run, one.why = accounted(model, inputs, computed)
    except ValueError as error:
        why = " ".join(str(error).split())
        known = "no attention was heard" in why or "can be shown" in why
        one.kind = "ERROR" if not known else "refused" if computed else "no attention"
        one.why = why
        if one.kind == "no attention":
            one.false_alarms = re.findall(r"shown: (\S+?)[:,] ", why) if "neither a softmax" in why else []
        return one
    except Exception as error:  # noqa: BLE001
        one.kind, one.why = "ERROR", _short(error)
        return one
    one.given, one.missed, one.refused = result.given, dict(run.missed), dict(run.refused)
    one.false_alarms = [name for name in run.missed if not any(c.is_in(name) for c in computed)]
    if not result.honest:
        one.kind = "WRONG"
        one.why = f"lost {result.lost[:3]} wrong {result.wrong[:3]} beyond {result.beyond[:3]}"
    elif result.whole:
        one.kind = "whole"
    elif result.given:
        one.kind = "in parts"
    else:
        one.kind = "refused"
    if one.kind in {"in parts", "refused"}:
        one.why = "; ".join([*dict.fromkeys(run.missed.values()), *run.refused.values()])
    return one


def main() -> int:
    """Try every type, and print what became of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", help="types to try")
    parser.add_argument("--json", type=Path, help="where the outcomes are written")
    parser.add_argument("--attempts", action="store_true", help="print what was tried in vain")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    transformers.logging.set_verbosity(transformers.logging.CRITICAL + 10)
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))  # what asks for more fails, and takes no other with it
    outcomes = []
    for one in options.only or model_types():
        outcome, attempts = tried(one)
        outcome.in_vain = list(dict.fromkeys(attempts))[:40]
        outcomes.append(outcome)
        print(outcome, flush=True)
        if options.attempts:
            print("\n".join(f"    {attempt}" for attempt in outcome.in_vain))
        if options.json:
            options.json.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=1))
    counts = Counter(outcome.kind for outcome in outcomes)
    n_built = len(outcomes) - counts["not built"]
    print(f"\n{len(outcomes)} types, {n_built} built and run: " + ", ".join(f"{counts[k]} {k}" for k in CLASSES[:-1]))
    print(
        f"{sum(bool(outcome.false_alarms) for outcome in outcomes)} with false alarms; {counts['not built']} not built"
    )
    return int(bool(counts["WRONG"] or counts["ERROR"]))


if __name__ == "__main__":
    sys.exit(main())

"""attnwidget diagnose: what is unusual about the attention on one text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnwidget.commands import options
from attnwidget.commands.models import Loading
from attnwidget.commands.reading import read, text_of
from attnwidget.commands.running import running, say_json, say_lines, watched

if TYPE_CHECKING:
    from attnwidget.diagnosis import Finding

__all__ = ["EXAMPLES", "diagnose"]

EXAMPLES = options.examples(
    'attnwidget diagnose storyteller "Lily and Ben went to the park . Lily gave the ball to"',
    "attnwidget diagnose ./my-model - --dtype bfloat16 < text.txt",
    "attnwidget diagnose ./my-model - --prefix 20 --json < text.txt",
)


def diagnose(
    model: options.Model,
    text: options.Text,
    *,
    target: options.Target = None,
    generate: options.Generate = None,
    prefix: options.Prefix = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    tokenizer: options.Tokenizer = None,
    own: options.Own = None,
    trust_remote_code: options.Trust = False,
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Look for what commonly goes wrong with attention: collapse, sinks, broken masks, NaN, scores too large.

    Each finding has the numbers that say so, the heads it is about, likely causes and what to try; the gravest stands
    first. Findings are a result, not a failure: the exit code is 0 with and without them. --json gives a list of them.
    """
    with running(debug=debug):
        how = Loading(device, dtype, tokenizer, own, trust_remote_code)
        run = read(how, model, text_of(text), target=target, generate=generate, prefix=prefix)

        import attnwidget as aw

        found = aw.diagnose(run, prefix=prefix, progress=watched())
        if as_json:
            say_json([_told(finding) for finding in found])
        else:
            say_lines(str(found))


def _told(finding: Finding) -> dict[str, Any]:
    """A finding, its places by the numbers that layers and heads have in the model."""
    return {
        "name": finding.name,
        "severity": finding.severity,
        "title": finding.title,
        "sentence": finding.sentence,
        "map": finding.map or None,
        "places": [{"layer": layer, "head": head} for layer, head in finding.places],
        "evidence": [one._asdict() for one in finding.evidence],
        "causes": list(finding.causes),
        "remedies": list(finding.remedies),
    }

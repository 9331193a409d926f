"""Facts: what the browser is told of maps before it asks for any."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import Any

from attnwidget.layers import Layer, ProjectedLayer
from attnwidget.lenses import ROLLOUT_TOKENS
from attnwidget.lenses.lensed import standing
from attnwidget.maps import AttentionMaps
from attnwidget.spans import find_spans
from attnwidget.tokens import ImageGrid, Tokens
from attnwidget.widget.answers import Shown
from attnwidget.widget.answers.measuring import MEASURED
from attnwidget.widget.answers.projections import held_form
from attnwidget.widget.answers.spans import MOST_SPANS, told_spans
from attnwidget.widget.answers.spread import PICTURED, even_rows

__all__ = ["describe", "facts_of"]

EFFECT = "What the head adds to the logit, directly."


def facts_of(shown: Shown, title: str) -> dict[str, Any]:
    """What the browser is told of all that is shown."""
    maps = [
        describe(name, shown.maps[name])
        | {"measures": measuring.facts(), "diagnosed": True, "standouts": sum(shown.maps[name].heads) > 1}
        for name, measuring in shown.measuring.items()
    ]
    if shown.unit is not None:  # rows of effects are no shares, and nothing of shares is told of them
        for fact in maps:
            effects = [{**one, "unit": "logits", "about": EFFECT} for one in fact["measures"]]
            fact.update({"measures": effects, "diagnosed": False, "standouts": False})
    maps += [describe(name, shown.maps[name]) | {"derived": kind} for name, (kind, _) in shown.derived.items()]
    for fact in maps:
        told, place = shown.lenses.get(shown.source(fact["name"])), shown.runs.get(fact["name"])
        if told:  # what is seen is not what the model saw
            fact["lens"] = told
        if strip := shown.strips.get(shown.source(fact["name"])):
            fact["strip"] = strip
        if place:
            fact.update(place._asdict())
    title = title.encode(errors="replace").decode()  # half of a surrogate pair cannot be sent
    answer: dict[str, Any] = {"title": title, "version": shown.version, "maps": maps}
    return answer if shown.unit is None else answer | {"unit": shown.unit}


def describe(name: str, maps: AttentionMaps) -> dict[str, Any]:
    """What the browser is told of maps, but for their measures."""
    notes = list(maps.notes)
    pictured, measured = even_rows(maps, PICTURED), even_rows(maps, MEASURED)
    if measured is not None:
        few, rows = f"{len(measured):,}", f"{maps.n_queries:,} rows"
        notes.append(
            f"Measures and findings of this long map are read from {few} of its {rows} at most."
            if pictured is None
            else f"This long map's thumbnails and head entropies are read from {len(pictured):,} of its {rows}, "
            f"measures and findings from {few} at most."
        )
    if maps.n_queries == maps.n_keys > ROLLOUT_TOKENS:
        notes.append(
            f"Rollout is shown for up to {ROLLOUT_TOKENS:,} tokens; measures.rollout(maps, queries=[...]) gives rows "
            "of longer texts."
        )
    many = {
        f"{len(spans):,} {kind}"
        for tokens in (maps.tokens, maps.key_tokens)
        for kind, spans in find_spans(tokens).items()
        if len(spans) > MOST_SPANS
    }
    if many:
        notes.append(
            f"This text has {' and '.join(sorted(many))}; spans are shown where there are {MOST_SPANS} at most."
        )
    return {
        "name": name,
        "heads": list(maps.heads),
        "layer_names": list(maps.layer_names),
        **_numbers(maps),
        "key_value_heads": [layer.key_value_heads for layer in maps.layers],
        # How the browser holds each layer whole; None where it asks for tiles.
        "held": [held_form(layer) for layer in maps.layers],
        # What scores are made of, where any layer knows them.
        "scores": scores if any(scores := [_scores(layer) for layer in maps.layers]) else None,
        "n_queries": maps.n_queries,
        "n_keys": maps.n_keys,
        "queries": _labels(_placed(maps)),
        "keys": None if maps.key_tokens is maps.tokens else _labels(maps.key_tokens),
        "following": maps.following,
        "causal": maps.causal,
        **({} if maps.tempers else {"tempers": False}),
        "notes": notes,
    }


def _numbers(maps: AttentionMaps) -> dict[str, Any]:
    """What the model calls layers and heads, where that is not their place."""
    told: dict[str, Any] = {}
    if maps.layer_numbers != tuple(range(maps.n_layers)):
        told["layer_numbers"] = maps.layer_numbers
    if maps.head_numbers != tuple(tuple(range(heads)) for heads in maps.heads):
        told["head_numbers"] = maps.head_numbers
    return told


def _placed(maps: AttentionMaps) -> Tokens:
    """The queries' tokens; where they are the last of the keys', they begin in the text where these do."""
    offset = None if maps.key_tokens is maps.tokens else standing(maps)
    if not offset:
        return maps.tokens
    return replace(maps.tokens, origins=tuple(maps.key_tokens.begins[offset : offset + maps.n_queries]))


def _scores(layer: Layer) -> dict[str, Any] | None:
    """What the scores of a layer are made of; None where it was given as weights."""
    if not isinstance(layer, ProjectedLayer):
        return None
    told: dict[str, Any] = {"scaling": float(layer.scaling), "width": layer.q.shape[2]}
    if layer.bias is not None or not layer.mask.is_plain:
        told["bias"] = True
    if layer.softcap is not None:
        told["softcap"] = float(layer.softcap)
    if layer.sinks is not None:
        told["sinks"] = True
    if layer.rotary is not None:
        told["rotary"] = True
    return told


def _labels(tokens: Tokens) -> dict[str, Any]:
    told: dict[str, Any] = {
        "labels": list(tokens.labels),
        "special": [i for i, special in enumerate(tokens.special) if special],
        # Where a token goes on with the word before it.
        "continues": [i for i in range(1, len(tokens)) if tokens.words[i] == tokens.words[i - 1]],
    }
    if tokens.spans:
        told["spans"] = [[span.name, span.start, span.stop] for span in tokens.spans]
    if found := told_spans(tokens):  # how many runs of each kind; the question "spans" lists them
        told["found"] = {kind: len(spans) for kind, spans in found.items()}
    if tokens.images:
        told["images"] = [_image(image) for image in tokens.images]
    if tokens.origins is not None:  # some are left out or joined: where each began in the text
        told["origins"] = list(tokens.origins)
    return told


def _image(image: ImageGrid) -> dict[str, Any]:
    return {
        "name": image.name,
        "start": image.start,
        "rows": image.rows,
        "columns": image.columns,
        "places": None if image.places is None else list(image.places),
        "picture": image.picture is not None,
        "digest": None if image.picture is None else zlib.crc32(image.picture.detach().cpu().numpy().tobytes()),
    }

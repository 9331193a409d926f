"""Storage: layers and tokens in a safetensors file, from which nothing is executed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from attnwidget.layers import DenseLayer, Layer, Mask, ProjectedLayer
from attnwidget.rotary import Rotary
from attnwidget.tokens import ImageGrid, Span, Tokens
from attnwidget.values import Values, values_of

__all__ = ["Shelf", "layers_from", "read", "reading", "tokens_from"]

_AXES = {"sinks": 1, "query_angles": 2, "key_angles": 2, "value_sizes": 2}  # of all else three
_FORMAT = 3  # of the file; 1 had no kind, spans, pictures, or numbers of layers, 2 one picture at most


class Shelf:
    """Tensors on their way into a file; those that layers share are written once."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._places: dict[tuple[Any, ...], str] = {}
        self._put: list[Tensor] = []  # no other tensor may come to where one of them was

    def put(self, name: str, tensor: Tensor) -> str:
        """Name under which a tensor is in the file."""
        same = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
        place = self._places.setdefault(same, name)
        self._put.append(tensor)
        if place not in self.tensors:
            self.tensors[place] = tensor.detach().clone().contiguous()
        return place

    def layers(self, layers: Sequence[Layer], place: str) -> list[dict[str, Any]]:
        """Layers, described with the names of their tensors."""
        return [
            {
                "tensors": {
                    role: self.put(f"{place}layers.{i}.{role}", tensor) for role, tensor in layer.tensors().items()
                },
                **_rule(layer),
            }
            for i, layer in enumerate(map(_as_held, layers))
        ]

    def tokens(self, tokens: Tokens, place: str) -> dict[str, Any]:
        """Tokens, described with the names of their pictures."""
        return {
            "labels": tokens.labels,
            "ids": tokens.ids,
            "special": tokens.special,
            "words": tokens.words,
            "spans": [[span.name, span.start, span.stop] for span in tokens.spans],
            "origins": tokens.origins,
            "images": [
                {
                    "name": image.name,
                    "rows": image.rows,
                    "columns": image.columns,
                    "start": image.start,
                    "places": image.places,
                    "picture": None
                    if image.picture is None
                    else self.put(f"{place}picture{number or ''}", image.picture),
                }
                for number, image in enumerate(tokens.images)
            ],
        }

    def write(self, path: str | Path, kind: str, description: Mapping[str, Any]) -> Path:
        """Write everything that was put here."""
        from safetensors.torch import save_file

        path = Path(path)
        head = {"format": _FORMAT, "kind": kind, **description}
        save_file(self.tensors, path, metadata={"attnwidget": json.dumps(head)})
        return path


def read(path: str | Path, kinds: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Description and tensors of a file.

    Parameters
    ----------
    path : str or Path
        The file.
    kinds : mapping of str to str
        What each kind of file is read with; the first is wanted.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ValueError
        When the file is of another kind, of a later version, or none of ours.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    wanted, reader = next(iter(kinds.items()))
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; expected a file written by {reader.replace('load', 'save')}.")
    try:
        with safe_open(path, framework="pt") as file:
            description = json.loads((file.metadata() or {})["attnwidget"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if not isinstance(description, dict):
            raise TypeError(f"its description is {type(description).__name__}")  # noqa: TRY301 - told below
    except (SafetensorError, KeyError, ValueError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{path} holds no attention maps; expected a file that {reader.replace('load', 'save')} wrote."
        ) from error
    version = description.get("format")
    if version not in (1, 2, _FORMAT):
        raise ValueError(
            f"{path} has format {version!r} and this version of attnwidget reads format {_FORMAT}. Update attnwidget."
        )
    kind = description.get("kind", "maps")
    if kind != wanted:
        raise ValueError(
            f"{path} holds a file of kind {kind!r}; read it with {kinds.get(str(kind), 'another reader')}."
        )
    return description, tensors


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Say of whatever is wrong in the description of a file that the file is at fault.

    Raises
    ------
    ValueError
        When something is missing, or is not what it should be.
    """
    try:
        yield
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, RuntimeError, OverflowError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{path} is damaged, or was made by something else: {what}") from error


def layers_from(described: Sequence[Mapping[str, Any]], tensors: Mapping[str, Tensor]) -> list[Layer]:
    """Layers from their description."""
    return [_layer(layer, tensors) for layer in described]


def tokens_from(fields: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Tokens:
    """Tokens from their description."""
    ids, origins = fields["ids"], fields.get("origins")
    one = fields.get("image")  # as it was written while tokens had one picture at most
    images = [one] if one is not None else fields.get("images", [])
    _check(_all_of(str, fields["labels"]), "labels are no strings")
    _check(ids is None or _all_of(int, ids), "ids are no numbers")
    _check(origins is None or _all_of(int, origins), "origins are no positions")
    _check(_all_of(bool, fields["special"]) and _all_of(int, fields["words"]), "special or words are none")
    spans = [_all_of(int, span[1:]) and isinstance(span[0], str) for span in fields.get("spans", ())]
    _check(all(spans), "spans are no names and positions")
    return Tokens(
        tuple(fields["labels"]),
        None if ids is None else tuple(ids),
        tuple(fields["special"]),
        tuple(fields["words"]),
        tuple(Span(*span) for span in fields.get("spans", ())),
        tuple(_image(image, tensors) for image in images),
        None if origins is None else tuple(origins),
    )


def _image(fields: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> ImageGrid:
    """A picture from its description."""
    name, places = fields.get("name", ""), fields.get("places")
    picture = None if fields["picture"] is None else tensors[fields["picture"]]
    _check(_all_of(int, [fields["start"], fields["rows"], fields["columns"]]), "the patches have no places")
    _check(isinstance(name, str) and (places is None or _all_of(int, places)), "the patches have no places")
    _check(
        picture is None or (picture.dtype == torch.uint8 and picture.ndim == 3 and picture.shape[2] == 3),
        "the picture is none",
    )
    places = None if places is None else tuple(places)
    return ImageGrid(fields["start"], fields["rows"], fields["columns"], picture, name, places)


def _as_held(layer: Layer) -> Layer:
    """A layer that holds what it says: one made of others is written as its matrix."""
    if isinstance(layer, DenseLayer | ProjectedLayer):
        return layer
    heads, queries, _ = layer.shape
    with torch.no_grad():
        return DenseLayer(layer.weights(slice(0, heads), slice(0, queries)), layer.mask, tempers=layer.tempers)


def _rule(layer: Layer) -> dict[str, Any]:
    """What a layer knows beside its tensors."""
    mask = layer.mask
    window = mask.window.tolist() if isinstance(mask.window, Tensor) else mask.window
    described: dict[str, Any] = {"mask": {"causal": mask.causal, "offset": mask.offset, "window": window}}
    if not layer.tempers:
        described["tempers"] = False
    values = values_of(layer)
    if values is not None and values.why:
        described["without_sizes"] = values.why
    if isinstance(layer, ProjectedLayer):
        described |= {"scaling": layer.scaling, "softcap": layer.softcap, "dropout": layer.dropout}
        if layer.rotary is not None:
            described["rotary"] = {"pairing": layer.rotary.pairing, "start": layer.rotary.start}
    return described


def _layer(described: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Layer:
    held = {role: tensors[name] for role, name in described["tensors"].items()}
    for role, tensor in held.items():
        _check(tensor.is_floating_point() and tensor.ndim == _AXES.get(role, 3), f"{role} is {_what(tensor)}")
    of_queries, of_keys = held.pop("query_angles", None), held.pop("key_angles", None)
    additive = held.pop("mask", None)
    kept = [held.pop(role, None) for role in ("v", "value_sizes", "value_products")]
    whose = held["matrix"] if "matrix" in held else held["q"]
    n_keys = whose.shape[2] if "matrix" in held else held["k"].shape[1]
    values = _values(kept, described.get("without_sizes", ""), len(whose), n_keys)
    rule = described["mask"]
    windows = rule["window"] if isinstance(rule["window"], list) else [rule["window"] or 0]
    whole = isinstance(rule["causal"], bool) and _all_of(int, [rule["offset"], *windows])
    _check(whole, "the mask is no rule")
    window = torch.tensor(windows) if isinstance(rule["window"], list) else rule["window"]
    mask = Mask(rule["causal"], rule["offset"], window, additive)
    layer: Layer
    if "matrix" in held:
        layer = DenseLayer(held["matrix"], mask, tempers=described.get("tempers") is not False, values=values)
    else:
        q, k = held["q"], held["k"]
        fits = q.shape[2] == k.shape[2] and k.shape[0] > 0 and q.shape[0] % k.shape[0] == 0
        _check(fits, f"q is {_what(q)} and k {_what(k)}")
        numbers = {name: described.get(name) for name in ("scaling", "softcap", "dropout")}
        for name, number in numbers.items():
            given = isinstance(number, float | int) or (number is None and name != "scaling")
            _check(given, f"{name} is {number!r}")
        layer = ProjectedLayer(
            **held,
            mask=mask,
            scaling=described["scaling"],
            softcap=described["softcap"],
            dropout=numbers["dropout"] or 0.0,
            rotary=_rotary(described.get("rotary"), of_queries, of_keys, q, k),
            values=values,
        )
    heads, queries, keys = layer.shape
    for role in {"mask", "bias"} & described["tensors"].keys():
        term = tensors[described["tensors"][role]]
        _check(term.shape in {(1, queries, keys), (heads, queries, keys)}, f"{role} is {_what(term)}")
    _check("sinks" not in held or held["sinks"].shape == (heads,), "sinks are not one a head")
    most = queries + keys
    reach = f"the mask reaches {mask.offset} and {max(windows)} tokens"
    _check(-most <= mask.offset <= most and 0 <= min(windows) <= max(windows) <= most, reach)
    _check(not isinstance(window, Tensor) or len(window) == queries, f"the mask has {len(windows)} windows")
    return layer


def _rotary(described: Any, queries: Any, keys: Any, q: Tensor, k: Tensor) -> Rotary | None:
    if described is None:
        return None
    pairing, start = described["pairing"], described["start"]
    _check(pairing in {"halves", "neighbours"} and _all_of(int, [start]), f"the rotation is {described!r}")
    fits = queries.shape == (q.shape[1], queries.shape[1]) and keys.shape == (k.shape[1], queries.shape[1])
    fits = fits and 0 <= start <= q.shape[2] - 2 * queries.shape[1]
    _check(fits, f"the angles are {_what(queries)} and {_what(keys)}")
    return Rotary(pairing, start, queries, keys)


def _values(given: list[Tensor | None], why: Any, heads: int, keys: int) -> Values | None:
    v, sizes, products = given
    _check(isinstance(why, str), f"what is said of its values is {why!r}")
    if v is None:
        _check(sizes is None and products is None, "there are sizes of values, and no values")
        return None
    _check(v.shape[1] == keys and v.shape[0] > 0 and heads % v.shape[0] == 0, f"v is {_what(v)}")
    for role, tensor, shape in (("sizes", sizes, (heads, keys)), ("products", products, (heads, heads, keys))):
        _check(tensor is None or tensor.shape == shape, f"the {role} of the values are not {list(shape)}")
    return Values(v, sizes, products, why)


def _check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(f"{otherwise}.")


def _all_of(kind: type, values: Any) -> bool:
    return isinstance(values, list | tuple) and all(isinstance(value, kind) for value in values)


def _what(tensor: Tensor) -> str:
    return f"{tensor.dtype} {list(tensor.shape)}"

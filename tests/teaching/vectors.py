"""Vectors: the steps of attention as Python computes them, and the scenes as the browser is told of them.

`python -m tests.teaching.vectors` writes both for the front end's tests. NaN is null.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

from attnwidget.teaching.scenes import SCENES
from attnwidget.teaching.steps import HEADS, head_steps, mixed, ranges, rotated, seeded, slopes, steps, visibility
from attnwidget.widget.playground import Playground

TESTS = Path(__file__).parents[2] / "js" / "test"
STEPS, FACTS = TESTS / "unit" / "steps.json", TESTS / "playground" / "scenes.json"
DIGITS = 15  # in all, of a number
FEW = 4  # numbers of a large array that are written: the first ones, and the last ones


def _drawn(*shape, seed=0):
    return np.round(np.random.RandomState(seed).standard_normal(shape), 3)


def _made(made):
    return {
        "scores": made.scores,
        "scaled": made.scaled,
        "visible": made.visible,
        "weights": made.weights,
        "output": made.output,
        "entropy": made.entropy,
        "ranges": ranges(made.visible),
        "slopes": slopes(made.weights),
    }


def _of_tables(query, key, value, *, mask="none", scaling=None, temperature=1.0, positions=None):
    """A case of `steps`, with what it was given."""
    given = {"query": query, "key": key, "value": value, "mask": mask, "scaling": scaling}
    given |= {"temperature": temperature, "positions": positions}
    arrays = [np.array(table, dtype=float) for table in (query, key, value)]
    visible = visibility(mask, len(query), len(key))
    made = steps(*arrays, scaling=scaling, temperature=temperature, visible=visible, positions=positions)
    return {"given": given, "made": _made(made)}


def presets():
    """The steps of every preset of every scene."""
    cases = []
    for scene in SCENES.values():
        for preset in scene.presets:
            playground = Playground(scene.name, preset=preset.name, keep=None)
            made = playground._heads if scene.name == "heads" else [playground._steps]
            case = {"scene": scene.name, "preset": preset.name, "made": [_made(one) for one in made]}
            if scene.name == "heads":
                case |= {"concatenated": playground.concatenated, "output": playground.output}
            cases.append(case)
            playground.close()
    return cases


def tables():
    """`steps` at the edges of what it takes."""
    query, key, value = _drawn(5, 4, seed=1), _drawn(5, 4, seed=2), _drawn(5, 3, seed=3)
    blind = [[row != 2 and column <= row for column in range(5)] for row in range(5)]
    cases = {
        "plain": _of_tables(query, key, value),
        "causal": _of_tables(query, key, value, mask="causal"),
        "causal, more keys than queries": _of_tables(query[:3], key, value, mask="causal"),
        "causal, more queries than keys": _of_tables(query, key[:3], value[:3], mask="causal"),
        "a row that sees nothing": _of_tables(query, key, value, mask=blind),
        "not scaled, hot": _of_tables(query, key, value, scaling=1.0, temperature=10.0),
        "not scaled, cold": _of_tables(query, key, value, scaling=1.0, temperature=1e-6),
        "scaled by nothing": _of_tables(query, key, value, scaling=0.0),
        "scores of a million": _of_tables(query * 1e3, key * 1e3, value * 1e6, scaling=1.0),
        "one key": _of_tables(query, key[:1], value[:1]),
        "with positions": _of_tables(query, key, value, positions=[0, 1, 2, 3, 4]),
        "far positions": _of_tables(query, key, value, positions=[-1000, -3, 0, 7, 1000]),
    }
    return [{"name": name, **case} for name, case in cases.items()]


def turned():
    """`rotated`, with widths that leave a number over and positions that turn many times."""
    cases = []
    for width, positions in ((1, [0, 5]), (2, [1, -1]), (3, [2, 900]), (7, [1000, -1000]), (8, [0, 3])):
        vectors = _drawn(2, width, seed=width)
        cases.append({"vectors": vectors, "positions": positions, "rotated": rotated(vectors, positions)})
    return cases


def drawn():
    """`seeded`, from the smallest to the largest; of each array a few numbers, and how far the products spread."""
    cases = []
    for seed, length, width in ((0, 2, 2), (0, 8, 64), (1, 3, 5), (7, 16, 128), (2**32 - 1, 8, 4), (12345, 64, 1024)):
        case = {"seed": seed, "length": length, "width": width}
        query, key = seeded(seed, length, width)
        for name, array in (("query", query), ("key", key)):
            case[name] = [array.ravel()[:FEW], array.ravel()[-FEW:]]
        cases.append(case | {"spread": (query @ key.T).std()})
    return cases


def heads():
    """`head_steps` of every kind, alone and at two temperatures, and `mixed` with a projection and without."""
    query, key, value = _drawn(4, 3, seed=4), _drawn(4, 3, seed=5), _drawn(4, 2, seed=6)
    labels = ["the", "cat", "the", "mat"]
    given = {"query": query, "key": key, "value": value, "labels": labels}
    cases = []
    for temperature in (1.0, 0.3):
        made = [head_steps(kind, query, key, value, labels=labels, temperature=temperature) for kind in HEADS]
        for mixing in (np.zeros((0, 0)), _drawn(8, 3, seed=7)):
            concatenated, output = mixed(made, mixing)
            case = {"given": given, "kinds": HEADS, "temperature": temperature, "mixing": mixing}
            case |= {"made": [_made(one) for one in made], "concatenated": concatenated, "output": output}
            cases.append(case)
    return cases


def vectors():
    """What steps.json holds."""
    made = {"presets": presets(), "tables": tables(), "rotated": turned(), "seeded": drawn(), "heads": heads()}
    return _plain(made)


def told():
    """What scenes.json holds: what the browser is told of all scenes."""
    playground = Playground(keep=None)
    playground.close()
    return playground.facts


def _plain(value):
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return None if math.isnan(value) else float(f"{value:.{DIGITS}g}")
    return value


def written(value):
    """A file of it: a case a line."""
    lines = [f'"{name}": {_lines(one)}' for name, one in value.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _lines(value):
    cases = [_compact(one) for one in value] if isinstance(value, list) else None
    return _compact(value) if cases is None else "[\n" + ",\n".join(cases) + "\n]"


def _compact(value):
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


if __name__ == "__main__":
    STEPS.write_text(written(vectors()), encoding="utf-8")
    FACTS.write_text(written(told()), encoding="utf-8")

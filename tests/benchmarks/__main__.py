"""Prints what was measured and what was promised, and writes build/bench.json."""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path

from tests.benchmarks import capture, effects, kernel, lab, layers, measures, others, pages, playgrounds, surveys

PARTS = {
    "kernel": (kernel.import_rows, kernel.answer_rows),
    "measures": (measures.measure_rows, measures.peak_rows),
    "capture": (capture.capture_rows, capture.memory_rows, capture.long_rows),
    "effects": (effects.effect_rows, effects.value_rows, effects.apply_rows),
    "surveys": (surveys.survey_rows, surveys.merge_rows, surveys.memory_rows),
    "lab": (lab.lab_rows,),
    "layers": (layers.layer_rows,),
    "pages": (pages.page_rows,),
    "playgrounds": (playgrounds.playground_rows,),
    "others": (others.others_rows,),
}


def main() -> None:
    """Run the benchmarks in one go, so that ratios are of one machine in one mood."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Speed and memory.")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="run these parts and no others")
    parser.add_argument("--skip", nargs="+", choices=PARTS, default=[], help="leave these parts out")
    wanted = parser.parse_args()
    chosen = [name for name in wanted.only or PARTS if name not in wanted.skip]
    rows = []
    print(f"{'':<78}{'measured':>12}{'budget':>10}")
    for part in (part for name in chosen for part in PARTS[name]):
        for line in part():
            print(as_text(line), flush=True)
            rows.append(line)
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "processor": platform.processor()}
    machine["load"] = [round(load, 1) for load in os.getloadavg()]  # beyond the cores, wall-clock times say little
    path = Path(__file__).parent.parent.parent / "build" / "bench.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"machine": machine, "parts": chosen, "rows": rows}, indent=1))
    print(f"\nwritten to {path}")


def as_text(line: dict) -> str:
    """A row of the table."""
    measured = "-" if line["value"] is None else f"{line['value']:.3g} {line['unit']}"
    budget = "" if line["budget"] is None else f"{line['budget']:g} {line['unit']}"
    verdict = {None: "", True: "  kept", False: "  MISSED"}[line["kept"]]
    return f"{line['name']:<78}{measured:>12}{budget:>10}{verdict}  {line['note']}".rstrip()


if __name__ == "__main__":
    main()

"""Prints what was measured and what was promised, and writes build/bench.json."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path

from tests.benchmarks import kernel, lab, measures


def main() -> None:
    """Run every benchmark in one go, so that ratios are of one machine in one mood."""
    rows = []
    parts = (
        kernel.import_rows,
        kernel.answer_rows,
        measures.measure_rows,
        measures.peak_rows,
        kernel.capture_rows,
        kernel.memory_rows,
        lab.lab_rows,
    )
    print(f"{'':<62}{'measured':>12}{'budget':>10}")
    for part in parts:
        for line in part():
            budget = "" if line["budget"] is None else f"{line['budget']:g} {line['unit']}"
            verdict = {None: "", True: "  kept", False: "  MISSED"}[line["kept"]]
            measured = f"{line['value']:.3g} {line['unit']}"
            print(f"{line['name']:<62}{measured:>12}{budget:>10}{verdict}  {line['note']}", flush=True)
            rows.append(line)
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "processor": platform.processor()}
    path = Path(__file__).parent.parent.parent / "build" / "bench.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1))
    print(f"\nwritten to {path}")


if __name__ == "__main__":
    main()

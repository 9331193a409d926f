"""Benchmarks: ``python -m tests.benchmarks``."""

import os

# numpy's own threads, which nothing switches off later: where we are measured in one thread, so is what we are beside.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

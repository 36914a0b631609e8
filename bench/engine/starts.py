"""Measures a worker's start with its kernels compiled and not compiled yet, in turn.

python -m bench.engine.starts                        the bundled model, five starts of each kind
python -m bench.engine.starts --model DIR --count 3  another model

A start is a process that imports the worker and loads its engine until it is warmed up. Celery and
Redis are left out, as they take the same time either way.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_START = """
import os
import worker.app
from shared.settings import Settings
from worker.engine.loading import load_engine
engine = load_engine(Settings(), lambda: None)
print(engine.info.arithmetic, flush=True)
os._exit(0)
"""


def main() -> None:
    """Start both ways by turns, and print seconds and their ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="as in SIGHTLINE_MODEL")
    parser.add_argument("--count", type=int, default=5)
    args = parser.parse_args()
    model = {"SIGHTLINE_MODEL": args.model} if args.model else {}
    compiled: list[float] = []
    not_compiled: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        # the first one warms the page cache
        _start(cache, model)
        for _ in range(args.count):
            compiled.append(_start(cache, model))
            shutil.rmtree(cache / "sightline")
            not_compiled.append(_start(cache, model))
    _report("compiled", compiled)
    _report("not compiled", not_compiled)
    ratios = [new / old for new, old in zip(not_compiled, compiled, strict=True)]
    print(f"ratio of each pair: {_list(ratios)}; of the medians:", end=" ")
    print(f"{statistics.median(not_compiled) / statistics.median(compiled):.2f}")


def _start(cache: Path, model: dict[str, str]) -> float:
    """Return the seconds of one start; raises RuntimeError if no kernels were used."""
    environment = os.environ | model | {"XDG_CACHE_HOME": str(cache)}
    began_s = time.perf_counter()
    process = subprocess.run(
        [sys.executable, "-c", _START],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    seconds = time.perf_counter() - began_s
    if "compiled kernels" not in process.stdout:
        raise RuntimeError(f"no kernels: {process.stdout}")
    return seconds


def _report(what: str, seconds: list[float]) -> None:
    print(f"{what}: median {statistics.median(seconds):.1f} s of {_list(seconds)}")


def _list(figures: list[float]) -> str:
    return ", ".join(f"{figure:.2f}" for figure in figures)


if __name__ == "__main__":
    main()

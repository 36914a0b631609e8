"""Measures the engine against plain transformers, in one run.

python -m bench.engine                      everything, ten minutes on two cores
python -m bench.engine --only int8          one engine: plain, bf16, int8 or int4
python -m bench.engine --chart FILE.svg     also draw throughput against batch size
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

from bench.engine.fullsize import default_folder, ensure_model
from bench.engine.report import chart, tables

_ENGINES = ("plain", "bf16", "int8", "int4")


def main() -> None:
    """Measure each engine in a process of its own, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Formatter)
    parser.add_argument("--only", choices=_ENGINES, action="append")
    parser.add_argument("--model", type=Path, default=default_folder())
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--chart", type=Path)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--measure", choices=_ENGINES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(_measure(args.measure, args.model, args.threads)))
        return
    ensure_model(args.model)
    figures = [_in_own_process(name, args) for name in args.only or _ENGINES]
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1))
    if args.chart:
        args.chart.write_text(chart(figures))
    print(tables(figures))


class _Formatter(argparse.RawDescriptionHelpFormatter):
    pass


def _in_own_process(name: str, args: argparse.Namespace) -> dict[str, object]:
    """Measure an engine in a new process, with threads bound to the available cores."""
    print(f"measuring {name} ...", file=sys.stderr)
    command = [sys.executable, "-m", "bench.engine", "--measure", name]
    command += ["--model", str(args.model), "--threads", str(args.threads)]
    environment = {"OMP_PROC_BIND": "true", "OMP_PLACES": "cores"}
    environment["OMP_NUM_THREADS"] = str(args.threads)
    process = subprocess.run(
        command, env=os.environ | environment, stdout=subprocess.PIPE, text=True, check=True
    )
    figures: dict[str, object] = json.loads(process.stdout.splitlines()[-1])
    return figures


def _measure(name: str, folder: Path, threads: int) -> dict[str, object]:
    if name == "plain":
        import torch

        from bench.engine.plain import measure

        torch.set_num_threads(threads)
        return asdict(measure(folder))
    from bench.engine.measures import Bench, Figures
    from bench.engine.overhead import seconds_per_step
    from shared.settings import Settings
    from worker.engine.engine import load_engine

    overhead_s = seconds_per_step(threads)
    started = time.perf_counter()
    # random weights repeat themselves, which drafts would make faster than any real answer
    settings = Settings(model=str(folder), numerics=name, threads=threads, speculation=False)
    engine = load_engine(settings)
    figures = Figures(f"Sightline {name}", load_s=time.perf_counter() - started)
    try:
        return asdict(Bench(engine, figures).run()) | {"overhead_s": overhead_s}
    finally:
        engine.close()


if __name__ == "__main__":
    main()

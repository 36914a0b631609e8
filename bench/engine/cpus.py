"""Measures the engine on CPUs that have fewer instructions than this one, in one run.

python -m bench.engine.cpus                    int8, as each kind of CPU that this one can be
python -m bench.engine.cpus --numerics bf16    the same in bfloat16
python -m bench.engine.cpus --by torch         without the compiled kernels

Each kind is measured in a process of its own. oneDNN, torch and the compiled kernels are all told
to use no more than the instructions of that kind. Figures are processor seconds of one thread,
which other programs on the machine disturb little; shares are of the first row's speed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.engine.fullsize import default_folder, ensure_model


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of CPU, by what torch's libraries and the kernels may use."""

    name: str
    onednn: str
    torch: str
    #: As SIGHTLINE_INSTRUCTIONS names it.
    kernels: str

    @property
    def environment(self) -> dict[str, str]:
        """Return what tells a process to use no more than that."""
        return {
            "ONEDNN_MAX_CPU_ISA": self.onednn,
            "ATEN_CPU_CAPABILITY": self.torch,
            "SIGHTLINE_INSTRUCTIONS": self.kernels,
        }


KINDS = (
    Kind("AMX", "AVX512_CORE_AMX", "avx512", "amx"),
    Kind("AVX512-BF16 and VNNI", "AVX512_CORE_BF16", "avx512", "avx512-bf16"),
    Kind("AVX512-VNNI", "AVX512_CORE_VNNI", "avx512", "avx512-vnni"),
    Kind("AVX512", "AVX512_CORE", "avx512", "avx512"),
    Kind("AVX2 and AVX-VNNI", "AVX2_VNNI", "avx2", "avx2-vnni"),
    Kind("AVX2", "AVX2", "avx2", "avx2"),
)
SIDE, TOKENS = 512, 17


def main() -> None:
    """Measure each kind and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--numerics", default="int8")
    parser.add_argument("--by", choices=("kernels", "torch"), default="kernels")
    parser.add_argument("--only", choices=[kind.kernels for kind in KINDS], action="append")
    parser.add_argument("--model", type=Path, default=default_folder())
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(_measure(args)))
        return
    ensure_model(args.model)
    kinds = [kind for kind in KINDS if not args.only or kind.kernels in args.only]
    print(_table([(kind.name, _in_own_process(kind, args)) for kind in kinds]))


def _in_own_process(kind: Kind, args: argparse.Namespace) -> dict[str, Any]:
    print(f"measuring {kind.name} ...", file=sys.stderr)
    command = [sys.executable, "-m", "bench.engine.cpus", "--measure", "--by", args.by]
    command += ["--numerics", args.numerics, "--model", str(args.model)]
    process = subprocess.run(
        command,
        env=os.environ | kind.environment | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    figures: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    return figures


def _measure(args: argparse.Namespace) -> dict[str, Any]:
    from bench.engine.measures import Bench, Figures
    from shared.settings import Settings
    from worker.engine.engine import load_engine

    settings = Settings(
        model=str(args.model),
        numerics=args.numerics,
        threads=1,
        native_kernels=args.by == "kernels",
    )
    engine = load_engine(settings)
    try:
        bench = Bench(engine, Figures(engine.info.arithmetic), time.process_time)
        bench.measure_turns(SIDE)
        for count in (1, 8):
            bench.measure_decode(count, TOKENS)
    finally:
        engine.close()
    figures = bench.figures
    return {
        "name": figures.name,
        "cold": figures.cold_s[SIDE],
        "features": figures.features_only_s[SIDE],
        "decode": 1 / figures.decode_tokens_per_s[1],
        "decode 8": 8 / figures.decode_tokens_per_s[8],
    }


#: Titles of the figures, which are processor seconds.
_TITLES = {
    "cold": f"cold {SIDE}²",
    "features": "same image again",
    "decode": "a token of 1 request",
    "decode 8": "a token each of 8",
}


def _table(measured: list[tuple[str, dict[str, Any]]]) -> str:
    """Return a table in Markdown, in brackets the share of the first kind's speed."""
    lines = ["| CPU | computed by | " + " | ".join(_TITLES.values()) + " |"]
    lines.append("|---" * (2 + len(_TITLES)) + "|")
    first = measured[0][1]
    for kind, figures in measured:
        cells = [f"{figures[name]:.3g} ({first[name] / figures[name]:.2f})" for name in _TITLES]
        lines.append(f"| {kind} | {figures['name']} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

"""Measures how the engine's arithmetic gains by more threads, on a machine with many cores.

python -m bench.engine.scaling --json FILE         everything, about two minutes on 16 cores
python -m bench.engine.scaling --only int8/auto    one arithmetic
python -m bench.engine.scaling --seconds 60        stop there; what is missing is told

Needs torch, numpy and a compiler alone: neither Redis nor a model. Each row is printed as soon as
it is measured, the most threads first. A figure with ~ is extrapolated from the blocks and tokens
that fitted into its time: all blocks are alike.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from shared.cpu_cores import owned, quota
from worker.engine.kernels.instructions import (
    InstructionSet,
    choose_instructions,
    list_for_machine,
    list_usable,
    read_cpu_flags,
)

SIDE, TOGETHER = 1024, 8
#: What is measured, the most telling first: numerics, and by which kernels: `auto` as a worker
#: chooses, `kernels` the fastest that the CPU has, `older` without the newest instructions.
_VARIANTS = (
    "int8/kernels",
    "int8/auto",
    "bf16/kernels",
    "bf16/auto",
    "int4/kernels",
    "int8/older",
    "int8/onednn",
)
_OLDER = "avx512-vnni"
#: Seconds of a tower or a prefill, and of decoding, that one figure may take.
_CAP_S, _DECODE_S = 3.0, 0.8
_FLAGS = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx", "asimddp", "bf16")


def main() -> None:
    """Measure each variant in a process of its own, and print rows as they come."""
    args = _arguments().parse_args()
    if args.measure:
        _measure(args)
        return
    ends = time.monotonic() + args.seconds
    say(_describe_machine())
    say(_check_kernels())
    report: dict[str, Any] = {"machine": platform.machine(), "flags": sorted(_flags())}
    report["rows"], seen = [], set[str]()
    for variant in args.only or _VARIANTS:
        remaining = ends - time.monotonic()
        if remaining < _CAP_S:
            say(f"{variant}: not measured, the time is over")
            continue
        rows = _in_own_process(variant, args, remaining, seen)
        report["rows"] += rows
        seen |= {f"{row['numerics']} {row['by']}" for row in rows}
        if args.json:
            args.json.write_text(json.dumps(report, indent=1))


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=_VARIANTS, action="append")
    parser.add_argument("--threads", type=int, action="append", help="1, 2, 4 ... by default")
    parser.add_argument("--seconds", type=float, default=140)
    parser.add_argument("--side", type=int, default=SIDE, help="pixels of the picture's sides")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--measure", choices=_VARIANTS, help=argparse.SUPPRESS)
    parser.add_argument("--seen", action="append", default=[], help=argparse.SUPPRESS)
    return parser


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


def _flags() -> set[str]:
    return {flag for flag in read_cpu_flags() if flag.startswith(_FLAGS)}


def _describe_machine() -> str:
    chosen = choose_instructions()
    usable = [one.name for one in list_for_machine() if choose_instructions(one.name) == one]
    lines = _run("lscpu").splitlines()
    wanted = ("Model name", "Thread(s)", "Core(s)", "Socket(s)", "NUMA node(s)", "L2", "L3")
    return "\n".join(
        [
            *(line for line in lines if line.strip().startswith(wanted)),
            f"flags: {' '.join(sorted(_flags()))}",
            f"logical CPUs {len(_cpus())}, cores owned {owned()}, quota {quota():g}",
            f"kernels that this CPU can run: {', '.join(usable) or 'none'}",
            f"a worker chooses: {chosen.title if chosen else 'oneDNN or torch'}",
            _run("g++", "--version").partition("\n")[0] or "no g++",
        ]
    )


def _check_kernels() -> str:
    """Compare the fastest kernels, and those that a worker chooses, with float32 in a program."""
    fastest = next(iter(list_usable(list_for_machine()[0].name)), None)
    wanted = {one.name: one for one in (fastest, choose_instructions()) if one}
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor() as compilers:
        programs = (Path(folder) / name for name in wanted)
        return "\n".join(compilers.map(_check, wanted.values(), programs))


def _check(instructions: InstructionSet, program: Path) -> str:
    root = Path(__file__).parents[2]
    source = root / "tests" / "native" / "check_kernels.cpp"
    flags = ["-O1", "-std=c++17", "-fopenmp", "-w", *instructions.compiler_flags]
    include = f"-I{root / 'worker' / 'engine' / 'kernels'}"
    try:
        subprocess.run(["g++", *flags, include, source, "-o", program], check=True, timeout=60)
        done = subprocess.run(
            [program, "brief"], capture_output=True, text=True, check=False, timeout=60
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"{instructions.name} against float32: not checked, {error}"
    said = done.stdout.strip().splitlines()[-6:]
    return f"{instructions.name} against float32: {'; '.join(said)} (exit {done.returncode})"


def _cpus() -> set[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(owned()))


def _run(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except OSError:
        return ""


def _thread_counts() -> list[int]:
    """Return powers of two up to all logical CPUs, the most first."""
    most = min(len(_cpus()), int(min(quota(), 1e6))) or 1
    counts = {1 << n for n in range(most.bit_length())} | {most}
    return sorted(counts, reverse=True)


def _in_own_process(
    variant: str, args: argparse.Namespace, seconds: float, seen: set[str]
) -> list[dict[str, Any]]:
    """Measure one variant with threads bound to cores; return its rows."""
    counts = args.threads or _thread_counts()
    if not args.threads and variant not in _VARIANTS[:2]:
        # the ends are enough to compare with those
        counts = sorted({max(counts), min(counts)}, reverse=True)
    command = [sys.executable, "-m", "bench.engine.scaling", "--measure", variant]
    command += ["--seconds", str(seconds), "--side", str(args.side)]
    for count in counts:
        command += ["--threads", str(count)]
    for arithmetic in seen:
        command += ["--seen", arithmetic]
    environment = {"OMP_PROC_BIND": "close", "OMP_PLACES": "cores"}
    environment["OMP_NUM_THREADS"] = str(max(counts))
    rows: list[dict[str, Any]] = []
    patience = _CAP_S * 8
    with subprocess.Popen(
        command, env=os.environ | environment, stdout=subprocess.PIPE, text=True
    ) as process:
        stop = threading.Timer(seconds + patience, process.kill)
        stop.start()
        for line in process.stdout or ():
            if line.startswith("{"):
                rows.append(json.loads(line))
                say(_row(rows[-1], len(rows) == 1))
            else:
                say(line.rstrip())
        stop.cancel()
    if process.returncode:
        say(f"{variant}: failed with {process.returncode}")
    if rows:
        say(_gains(rows))
    return rows


_HEADS = ("threads", "cold, s", "tower, s", "prefill, tokens/s", "decode 1, tokens/s")


def _row(row: dict[str, Any], first: bool) -> str:
    about = "" if row["whole"] else "~"
    cells = (
        f"{row['threads']}",
        f"{about}{row['cold_s']:.2f}",
        f"{about}{row['tower_s']:.2f}",
        f"{row['prefill_per_s']:.0f}",
        f"{row['decode_1']:.1f}",
        f"{row['decode_8']:.1f}",
    )
    head = ""
    if first:
        titles = (*_HEADS, f"decode {TOGETHER} together")
        head = f"\n{row['numerics']} by {row['by']}\n| {' | '.join(titles)} |\n"
        head += "|---" * len(titles) + "|\n"
    return f"{head}| {' | '.join(cells)} |"


def _gains(rows: list[dict[str, Any]]) -> str:
    """Return how many times as fast each row is as the fewest threads."""
    base = min(rows, key=lambda row: row["threads"])
    parts = []
    for row in rows:
        cold = base["cold_s"] / row["cold_s"]
        one, eight = (row[name] / base[name] for name in ("decode_1", "decode_8"))
        parts.append(f"{row['threads']}: cold {cold:.2f}, decode {one:.2f}, together {eight:.2f}")
    return f"times as fast as {base['threads']} thread(s): " + "; ".join(parts)


def _measure(args: argparse.Namespace) -> None:
    """Measure one variant in this process; prints a row of JSON for each count of threads."""
    started = time.monotonic()
    import torch  # before the kernels, which then share its threads

    from bench.engine.bare import BareModel
    from worker.engine.kernels.build import Kernels, load_kernels

    numerics, _, by = args.measure.partition("/")
    torch.set_num_threads(max(args.threads))
    kernels: Kernels | None = None
    if by != "onednn":
        most = {"auto": "auto", "older": _OLDER}.get(by, list_for_machine()[0].name)
        kernels = load_kernels(most)
        if kernels is None and by != "auto":
            say(f"{args.measure}: no kernels for this CPU")
            return
    name = kernels.instructions.title if kernels else "oneDNN"
    if f"{numerics} {name}" in args.seen:
        say(f"{args.measure}: the same as above, {name}")
        return
    try:
        model = BareModel(numerics, kernels, max(args.threads))
    except ValueError as error:
        say(f"{args.measure}: {error}")
        return
    say(f"{args.measure}: ready after {time.monotonic() - started:.1f} s, {_threading_libraries()}")
    for count in args.threads:
        if time.monotonic() - started > args.seconds:
            say(f"{args.measure}: {count} threads not measured, the time is over")
            break
        print(json.dumps({"numerics": numerics, "by": name} | _figures(model, count, args.side)))
        sys.stdout.flush()


def _threading_libraries() -> str:
    """Name the OpenMP libraries in this process: two of them would disturb each other."""
    maps = Path("/proc/self/maps")
    words = (maps.read_text() if maps.exists() else "").split()
    return ", ".join(sorted({Path(word).name for word in words if "omp" in Path(word).name}))


def _figures(model: Any, count: int, side: int) -> dict[str, Any]:
    model.use_threads(count)
    model.measure_decoding(1, 0)  # wakes the threads and the caches
    one = model.measure_decoding(1, _DECODE_S)
    together = model.measure_decoding(TOGETHER, _DECODE_S)
    cold = model.measure_cold(side, _CAP_S)
    tokens = (side // 32) ** 2
    return {
        "threads": count,
        "cold_s": cold.tower_s + cold.prefill_s,
        "tower_s": cold.tower_s,
        "prefill_per_s": tokens / cold.prefill_s,
        "decode_1": one,
        "decode_8": together,
        "whole": cold.whole,
    }


if __name__ == "__main__":
    main()

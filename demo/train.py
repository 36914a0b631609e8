"""Train the demonstration model: `python -m demo.train`, which takes up where it was stopped."""

from __future__ import annotations

import argparse
import math
import os
import signal
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import multiprocessing

from demo import checkpoint, network
from demo.optimizing import Optimizer, matrices
from demo.stages import Plan, Reader, Tower
from demo.state import Clock, Progress, restore, save
from demo.team import Team

if TYPE_CHECKING:
    from torch import nn

    from demo.network import Heads

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
REPORT = 50
SAVE = 100


def rate(step: int, steps: int, warm: int = 100) -> float:
    """Share of the peak rate: warm up, hold, and fall to a twentieth over the last third."""
    remaining = max(0.05, min(1.0, (steps - step) / (steps / 3)))
    return min(1.0, (step + 1) / warm) * remaining


def report(progress: Progress, share: float, sums: dict[str, list[float]], started: float) -> str:
    """Word the progress line: means since the last one."""
    means = " ".join(f"{name} {sum(all_) / len(all_):.3f}" for name, all_ in sorted(sums.items()))
    return (
        f"{progress.stage} step {progress.step} samples {progress.samples} "
        f"cpu {progress.seconds:.0f} s wall {time.monotonic() - started:.0f} s "
        f"rate {share:.2f} | {means}"
    )


def train(
    stage: Tower | Reader, model: nn.Module, heads: Heads, path: Path, steps: int, team: Team
) -> None:
    """Run a stage up to `steps` from the state at `path`; SIGTERM saves it and stops."""
    groups = stage.groups()
    every = [value for group in groups for value in group["params"]]
    optimizer = Optimizer(groups, matrices(model))
    progress = restore(path, model, heads, optimizer, stage.name)
    clock, started = Clock(), time.monotonic()
    sums: dict[str, list[float]] = defaultdict(list)
    asked = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked.set())
    stop = False
    while progress.step < steps and not stop:
        share = rate(progress.step, steps)
        number = progress.step * team.size + team.rank
        loss, scores, samples = stage.losses(progress.step, number)
        loss.backward()
        stop = team.join(every, asked.is_set())
        torch.nn.utils.clip_grad_norm_(every, 1.0)
        optimizer.step(share)
        progress.advance(samples * team.size, clock.lap())
        for name, score in {"loss": loss.item(), **scores}.items():
            if not math.isnan(score):
                sums[name].append(score)
        if team.rank == 0 and progress.step % REPORT == 0:
            print(report(progress, share, sums, started), flush=True)
            sums.clear()
        if team.rank == 0 and (progress.step % SAVE == 0 or progress.step == steps or stop):
            save(path, model, heads, optimizer, progress)
    if stop:
        raise SystemExit(0)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", nargs="?", choices=["all", "tower", "reader"], default="all")
    parser.add_argument("--state", type=Path, default=Path(".run/demo-train"), help="folder")
    parser.add_argument("--tower-steps", type=int, default=4000)
    parser.add_argument("--reader-steps", type=int, default=12000)
    parser.add_argument("--frozen", type=int, default=400, help="reader steps without the tower")
    parser.add_argument("--pages", type=float, default=0.03, help="share of steps with large pages")
    parser.add_argument("--largest", type=int, default=360, help="tokens of other blocks")
    parser.add_argument("--dense-every", type=int, default=3, help="batches for the tower alone")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0, help="processes; 0: one a core, or GPU")
    parser.add_argument("--export", type=Path, help="write a checkpoint here in the end")
    return parser.parse_args()


def work(rank: int, options: argparse.Namespace) -> None:
    """Be one process of the team: all draw their own batches and share their gradients."""
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // options.workers))
    torch.manual_seed(options.seed)
    team = Team(rank, options.workers, options.state)
    model, heads = network.build().to(DEVICE), network.Heads().to(DEVICE)
    tower, reader = options.state / "tower.pt", options.state / "reader.pt"
    if options.stage != "reader" and not reader.exists():
        train(Tower(model, heads, options.seed), model, heads, tower, options.tower_steps, team)
    if options.stage != "tower":
        if not reader.exists():
            restore(tower, model, heads, None, "reader")
        plan = Plan(options.frozen, options.pages, options.largest, options.dense_every)
        stage = Reader(model, heads, options.seed, plan)
        train(stage, model, heads, reader, options.reader_steps, team)
    if options.export and rank == 0:
        checkpoint.export(model, options.export)


def main() -> None:
    options = arguments()
    if not options.workers:
        options.workers = 1 if DEVICE == "cuda" else len(os.sched_getaffinity(0))
    options.state.mkdir(parents=True, exist_ok=True)
    multiprocessing.spawn(work, (options,), nprocs=options.workers)


if __name__ == "__main__":
    main()

"""Trains the demonstration model: `python -m demo.training.train` resumes where it stopped."""

from __future__ import annotations

import argparse
import os
import signal
import threading
import time
from collections import defaultdict
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import multiprocessing

from demo import checkpoint
from demo.training import feeding, network
from demo.training.optimizer import Optimizer, find_matrices
from demo.training.stages import ReaderPlan, ReaderStage, TowerStage
from demo.training.state import Clock, Progress, restore, save
from demo.training.team import Team

if TYPE_CHECKING:
    from torch import nn

    from demo.training.network import Heads

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
REPORT = 50
#: Seconds between two saves.
SAVE = 120
#: The share of the training in which the rate falls, and the share it falls to.
FALL, LEAST = 0.4, 0.02
#: Steps in which the rate of a run rises, while its optimizer gathers statistics.
WARM = 100


class Schedule:
    """The end of a run: after so many steps, or after so many seconds."""

    def __init__(self, steps: int, seconds: float | None) -> None:
        self.steps, self.seconds, self.started = steps, seconds, time.monotonic()

    def done(self, step: int) -> float:
        """Return the completed share of the run at a step."""
        spent = (time.monotonic() - self.started) / self.seconds if self.seconds else 0.0
        return max(step / max(1, self.steps), spent)


def rate_share(step: int, done: float) -> float:
    """Return the share of the peak rate at a step, when a share of the training is `done`.

    The rate rises from step 0 on; it is whole before, while only the heads are trained.
    """
    rise = min(1.0, (step + 1) / WARM) if step >= 0 else 1.0
    return rise * max(LEAST, min(1.0, (1 - done) / FALL))


def format_progress(
    progress: Progress, share: float, sums: dict[str, list[Any]], started: float
) -> str:
    """Return the progress line, with means since the last one."""
    read = {name: torch.tensor([float(one) for one in all_]) for name, all_ in sums.items()}
    known = {name: read[name].nanmean() for name in sorted(read)}
    means = " ".join(f"{name} {mean:.3f}" for name, mean in known.items())
    return (
        f"{progress.stage} step {progress.step} samples {progress.samples} "
        f"cpu {progress.seconds:.0f} s wall {time.monotonic() - started:.0f} s "
        f"rate {share:.2f} | {means}"
    )


def export_copy(stage: TowerStage | ReaderStage, model: nn.Module, folder: Path | None) -> None:
    """Write a checkpoint of a network that goes on being trained, if it can read."""
    if folder and isinstance(stage, ReaderStage):
        checkpoint.export(deepcopy(model), folder)


def train(
    stage: TowerStage | ReaderStage,
    model: nn.Module,
    heads: Heads,
    path: Path,
    steps: int,
    team: Team,
    options: argparse.Namespace,
) -> None:
    """Run a stage up to `steps` or to the end of the time, from the state at `path`.

    SIGTERM saves it and stops.
    """
    groups = stage.groups()
    every = [value for group in groups for value in group["params"]]
    optimizer = Optimizer(groups, find_matrices(model))
    progress = restore(path, model, heads, optimizer, stage.name)
    clock, schedule = Clock(), Schedule(steps, options.seconds)
    first, saved = progress.step, schedule.started
    risen = max(first, stage.settled)
    sums: dict[str, list[Any]] = defaultdict(list)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    numbers = team.numbers(progress.step, options.together)
    feed = feeding.load_batches(stage.draw, numbers, options.drawers, pin=DEVICE == "cuda")
    ended = progress.step >= steps
    while not ended:
        share = options.peak * rate_share(progress.step - risen, schedule.done(progress.step))
        for _ in range(options.together):
            began = time.monotonic()
            batch = next(feed)
            sums["wait"].append(time.monotonic() - began)
            loss, scores, samples = stage.losses(progress.step, batch)
            (loss / options.together).backward()
            progress.samples += samples * team.size
            for name, score in {"loss": loss.detach(), **scores}.items():
                sums[name].append(score)
        last = stop.is_set() or schedule.done(progress.step + 1) >= 1
        ended = team.join(every, last)
        torch.nn.utils.clip_grad_norm_(every, 1.0)
        optimizer.step(share)
        progress.advance(clock.lap())
        if team.rank == 0 and progress.step % REPORT == 0:
            print(format_progress(progress, share, sums, schedule.started), flush=True)
            sums.clear()
        if team.rank == 0 and time.monotonic() - saved > SAVE:
            saved = time.monotonic()
            save(path, model, heads, optimizer, progress)
            export_copy(stage, model, options.export)
    if team.rank == 0 and progress.step > first:
        save(path, model, heads, optimizer, progress)
    if progress.step < steps and schedule.done(progress.step) < 1:
        raise SystemExit(0)


def begin(model: nn.Module, heads: Heads, tower: Path, start: Path | None) -> None:
    """Load the weights that the reader begins from: the trained tower, or a whole checkpoint."""
    if start is None:
        restore(tower, model, heads, None, "reader")
    else:
        model.load_state_dict(checkpoint.load_weights(start))


def parse_arguments() -> argparse.Namespace:
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
    parser.add_argument("--scale", type=float, default=1, help="size of batches; on a GPU about 24")
    parser.add_argument("--together", type=int, default=1, help="batches of a process in a step")
    parser.add_argument("--parts", type=int, default=2, help="chunks of a batch; on a GPU 1")
    parser.add_argument("--drawers", type=int, default=0, help="processes that draw ahead, each")
    parser.add_argument("--seconds", type=float, help="end a stage after so long, if not before")
    parser.add_argument("--workers", type=int, default=0, help="processes; 0: one a core, or GPU")
    parser.add_argument("--peak", type=float, default=1, help="share of the usual learning rates")
    parser.add_argument(
        "--start", type=Path, help="folder of a checkpoint to begin the reader from"
    )
    parser.add_argument("--settle", type=int, default=0, help="first steps for the heads alone")
    parser.add_argument("--export", type=Path, help="write a checkpoint here, at each save too")
    return parser.parse_args()


def run_process(rank: int, options: argparse.Namespace) -> None:
    """Train in one of `options.workers` processes."""
    cores = len(os.sched_getaffinity(0)) // options.workers
    torch.set_num_threads(max(1, cores - options.drawers))
    # it makes a new plan for every shape, which takes longer than the attention itself
    torch.backends.cuda.enable_cudnn_sdp(enabled=False)
    torch.manual_seed(options.seed)
    team = Team(rank, options.workers, options.state)
    model, heads = network.build_model().to(DEVICE), network.Heads().to(DEVICE)
    tower, reader = options.state / "tower.pt", options.state / "reader.pt"
    if options.stage != "reader" and not reader.exists():
        stage: TowerStage | ReaderStage = TowerStage(model, heads, options.seed, options.scale)
        train(stage, model, heads, tower, options.tower_steps, team, options)
    if options.stage != "tower":
        if not reader.exists():
            begin(model, heads, tower, options.start)
        plan = ReaderPlan(
            options.frozen,
            options.settle,
            options.pages,
            options.largest,
            options.dense_every,
            options.scale,
            options.together,
            options.parts,
        )
        stage = ReaderStage(model, heads, options.seed, plan)
        train(stage, model, heads, reader, options.reader_steps, team, options)
    if options.export and rank == 0:
        checkpoint.export(model, options.export)


def main() -> None:
    options = parse_arguments()
    if not options.workers:
        options.workers = 1 if DEVICE == "cuda" else len(os.sched_getaffinity(0))
    options.state.mkdir(parents=True, exist_ok=True)
    if options.workers == 1:
        run_process(0, options)
    else:
        multiprocessing.spawn(run_process, (options,), nprocs=options.workers)


if __name__ == "__main__":
    main()

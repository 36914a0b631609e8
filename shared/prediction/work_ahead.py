"""The work ahead of all workers, in seconds of one of them: what an autoscaler follows."""

from __future__ import annotations

from dataclasses import dataclass

from shared.prediction.cost_model import FleetSnapshot


@dataclass(frozen=True, slots=True)
class HeldTiles:
    """The tiles of long jobs that are not queued yet."""

    count: int = 0
    #: Their predicted busy seconds; 0 while unknown.
    busy_s: float = 0.0


def predict_work_s(fleet: FleetSnapshot, tiles: HeldTiles) -> float | None:
    """Predict the seconds that one worker would need for all that waits or runs.

        (Σ observed busy_s + queued · mean_s + tiles' busy_s) · mean load + others · each

    The others are jobs and tiles without a prediction; each of them costs what the workers
    measured for a job. None if nothing was predicted and nothing measured.
    """
    backlog = fleet.backlog
    observed = [job.busy_s for job in backlog.observed if job.busy_s]
    predicted = len(observed) + (backlog.queued if backlog.mean_s else 0)
    predicted += tiles.count if tiles.busy_s else 0
    others = max(0, backlog.queued + backlog.running + tiles.count - predicted)
    predicted_s = sum(observed) + backlog.queued * backlog.mean_s + tiles.busy_s
    measured = [worker.seconds_per_job for worker in fleet.workers if worker.seconds_per_job > 0]
    if others and not predicted and not measured:
        return None
    each_s = sum(measured) / len(measured) if measured else 0.0
    return predicted_s * _mean_load(fleet) + others * each_s


def _mean_load(fleet: FleetSnapshot) -> float:
    """Return the seconds that a worker needs for a busy second; 1 without workers."""
    workers = fleet.accepting
    return len(workers) / sum(1 / worker.load_factor for worker in workers) if workers else 1.0

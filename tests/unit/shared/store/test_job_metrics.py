"""The metrics of finished jobs, before and after Redis."""

from __future__ import annotations

from shared.store.jobs.job_metrics import BOUNDS_S, JobMetrics, read


def _added_up(*jobs: JobMetrics) -> dict[str, str]:
    fields: dict[str, float] = {}
    for job in jobs:
        for field, amount in job.increments.items():
            fields[field] = fields.get(field, 0) + amount
    return {field: str(value) for field, value in fields.items()}


def test_sums_add_up_by_their_labels():
    one, two = JobMetrics(), JobMetrics()
    one.add("tokens", 3, kind="image")
    two.add("tokens", 4, kind="image")
    two.add("tokens", 1, kind="prompt")
    sums = read(_added_up(one, two)).sums
    assert sums == {"tokens": {(("kind", "image"),): 7, (("kind", "prompt"),): 1}}


def test_a_histogram_counts_each_value_below_every_bound_that_it_does_not_pass():
    metrics = JobMetrics()
    for seconds in (0.0, 0.01, 0.02, 2.0, 99_999.0, -0.5):
        metrics.observe("stage_seconds", seconds, stage="queue")
    histogram = read(_added_up(metrics)).histograms["stage_seconds"][("stage", "queue"),]
    counts = dict(histogram.buckets)
    assert list(counts) == [*(f"{bound:g}" for bound in BOUNDS_S), "+Inf"]
    assert (counts["0.01"], counts["0.03"], counts["1"], counts["3"]) == (3, 4, 4, 5)
    assert (counts["1800"], counts["+Inf"]) == (5, 6)
    assert histogram.total == 100_001.03


def test_fields_keep_the_form_that_is_stored():
    metrics = JobMetrics()
    metrics.add("jobs_answered")
    metrics.add("tokens", 3, kind="image", model="m")
    metrics.observe("stage_seconds", 2.5, stage="queue")
    assert metrics.increments == {
        "jobs_answered": 1,
        "tokens|kind=image|model=m": 3,
        "stage_seconds|stage=queue|le=3": 1,
        "stage_seconds|stage=queue|le=sum": 2.5,
    }


def test_nothing_counted_is_nothing_exposed():
    metrics = JobMetrics()
    metrics.add("tokens", 0, kind="cached")
    assert metrics.increments == {}
    assert read({}).sums == read({}).histograms == {}

"""What ended jobs add to the usage of their tenant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib import resources

import pytest

from shared.jobs import JobStatus
from shared.settings import Settings
from shared.store.access.usage_store import Usage, UsageStore
from tests.integration.store.desk import Desk

_CALL = """
local named = {}
for i, ms in ipairs(ARGV) do named[i] = {calendar(tonumber(ms))} end
return named
"""


@pytest.fixture
def desk(settings: Settings) -> Desk:
    return Desk(settings)


def test_days_and_months_are_those_of_the_calendar(desk):
    library = (resources.files("shared.store") / "lua/lib/usage.lua").read_text()
    calendar = desk.redis.register_script(library + _CALL)
    first = datetime(1970, 1, 1, tzinfo=UTC)
    # each day of a few years around a century, a leap century and today
    moments = [
        first + timedelta(days=day, hours=hour, milliseconds=-hour)
        for start in (0, 10_900, 20_300, 47_400)
        for day in range(start, start + 800)
        for hour in (0, 24)
    ]
    named = calendar(args=[round(moment.timestamp() * 1000) for moment in moments])
    assert named == [[f"{moment:%Y-%m-%d}", f"{moment:%Y-%m}"] for moment in moments]


def test_an_ended_job_is_counted_once_with_what_it_used(desk):
    store = UsageStore(desk.redis)
    day = store.today().isoformat()
    job = desk.add(desk.put(1), desk.put(2))
    claim = desk.claim(job)
    fields = {
        "usage": {"prompt_tokens": 30, "completion_tokens": 7, "image_tokens": 20},
        "metrics": {"queue_s": 9.0, "encode_s": 0.5, "decode_s": 0.25, "worker": "w"},
        "images": [{}, {}],
    }
    for _ in range(2):
        assert desk.store.finish(job, claim.owner, JobStatus.SUCCEEDED, fields)
    failed = desk.claim(desk.add())
    desk.store.finish(failed.row.id, failed.owner, JobStatus.FAILED, {"error": {"code": "x"}})
    desk.store.cancel(desk.add(), "t")
    desk.store.erase(job, "t")
    expected = Usage(
        jobs=3,
        succeeded=1,
        failed=1,
        canceled=1,
        images=2,
        prompt_tokens=30,
        completion_tokens=7,
        image_tokens=20,
        work_ms=750,
    )
    periods = (day, day[:7], "2001-01-01")
    assert store.read("t", periods) == dict(
        zip(periods, (expected, expected, Usage()), strict=True)
    )
    assert store.read("other", [day])[day] == Usage()


def test_a_long_job_counts_as_one(desk):
    job = desk.add(desk.put(1))
    desk.split(job)
    desk.store.cancel(job, "t")
    store = UsageStore(desk.redis)
    used = store.read("t", [store.today().isoformat()])
    assert [(one.jobs, one.canceled) for one in used.values()] == [(1, 1)]

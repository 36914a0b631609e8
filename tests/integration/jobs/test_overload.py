"""Many times the capacity: work goes on, and refusals say when to come back."""

from __future__ import annotations

import asyncio

from bench.service.overload import Phase, arrivals
from tests.support.harness import System, eventually


def test_work_goes_on_under_twenty_times_what_can_be_done(system: System):
    system.worker(slots=2, SIGHTLINE_SIMULATED_TOKEN_S="0.1")
    _, http = system.gateway(SIGHTLINE_QUEUE_MAX_WAIT_S="2")
    flood = Phase("flood")
    # two slots of eight words at 0.1 s do some two jobs a second
    asyncio.run(arrivals(http.base_url.port or 80, flood, rate=40, seconds=6))
    assert (flood.other, flood.without_retry_after) == (0, 0)
    assert len(flood.refused) > len(flood.accepted) > 4

    def ended() -> bool:
        jobs = http.get("/v1/jobs", params={"limit": 100}).json()["data"]
        return {job["status"] for job in jobs} == {"succeeded"}

    eventually(ended)
    assert len(http.get("/v1/jobs", params={"limit": 100}).json()["data"]) == len(flood.accepted)

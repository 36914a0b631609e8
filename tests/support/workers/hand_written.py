"""A worker's side of a job in the hands of a test, which decides what is reported."""

from __future__ import annotations

from shared.jobs import JobStatus
from shared.settings import Settings
from shared.store import Claim, Store, keys
from tests.support.harness import RedisServer

WORDS = [f"word{number} " for number in range(300)]
TEXT = "".join(WORDS)
USAGE = {"prompt_tokens": 1, "completion_tokens": 1}


class Writer:
    """A worker's side of one job, word by word."""

    def __init__(self, redis: RedisServer, job_id: str) -> None:
        # a job keeps its last hundred events or so
        # and is held though nobody renews its lease
        self.store = Store(Settings(redis_url=redis.url, events_max=100, lease_s=120))
        self.job_id = job_id
        claim = self.store.claim(job_id, "w")
        assert isinstance(claim, Claim)
        self.owner = claim.owner
        self.events_key = keys.events(job_id)

    def write(self, first: int, last: int) -> None:
        """Report the words from `first` up to `last`, each by itself."""
        for number in range(first, last):
            at = len("".join(WORDS[:number]))
            self.store.report(self.job_id, self.owner, WORDS[number], at=at)

    def finish(self, text: str | None = TEXT, output: str = TEXT) -> None:
        """End the job; without a `text`, as workers of 0.1 did."""
        fields = {
            "output": {"text": output, "finish_reason": "stop", "fields": {}, "json": None},
            "usage": USAGE,
        }
        assert self.store.finish(self.job_id, self.owner, JobStatus.SUCCEEDED, fields, text=text)

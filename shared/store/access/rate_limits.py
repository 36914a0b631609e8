"""The rate limits of an API key."""

from __future__ import annotations

from dataclasses import dataclass

from shared.settings import Settings

WINDOW_S = 60


@dataclass(frozen=True, slots=True)
class RateLimits:
    """The bounds of one key; 0 is no bound."""

    #: Submitting requests a minute.
    requests: int = 0
    #: Visual tokens of the jobs of a minute.
    tokens: int = 0
    #: Unfinished jobs.
    in_flight: int = 0
    #: Jobs that wait for a worker.
    queued: int = 0
    #: Reading requests a minute, beside those that follow one job.
    reads: int = 0

    @classmethod
    def of(cls, settings: Settings) -> RateLimits:
        """Return the bounds of a key that has none of its own, and of callers without a key."""
        return cls(
            requests=settings.limit_requests_per_minute,
            tokens=settings.limit_tokens_per_minute,
            in_flight=settings.limit_in_flight,
            queued=settings.limit_queued,
            reads=settings.limit_reads_per_minute,
        )

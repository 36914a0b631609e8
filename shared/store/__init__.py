"""Everything we keep in Redis; no other package names a key."""

from shared.store.jobs.job_store import Store
from shared.store.jobs.types import (
    Claim,
    Doorbell,
    DoorbellMessage,
    NewJob,
    Reported,
    StoredJob,
    Verdict,
)

__all__ = [
    "Claim",
    "Doorbell",
    "DoorbellMessage",
    "NewJob",
    "Reported",
    "Store",
    "StoredJob",
    "Verdict",
]

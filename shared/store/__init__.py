"""Everything we keep in Redis; no other package names a key."""

from shared.store.job_store import (
    Claim,
    Doorbell,
    DoorbellMessage,
    NewJob,
    Store,
    StoredJob,
    Verdict,
)

__all__ = [
    "Claim",
    "Doorbell",
    "DoorbellMessage",
    "NewJob",
    "Store",
    "StoredJob",
    "Verdict",
]

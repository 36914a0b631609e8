"""Everything we keep in Redis; no other package names a key."""

from shared.store.job_store import (
    Added,
    Claim,
    Doorbell,
    NewJob,
    Ring,
    Store,
    Verdict,
)

__all__ = [
    "Added",
    "Claim",
    "Doorbell",
    "NewJob",
    "Ring",
    "Store",
    "Verdict",
]

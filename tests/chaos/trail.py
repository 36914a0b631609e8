"""What one reader of a stream has been through: by it, a stream that does not end is judged."""

from __future__ import annotations

import collections
import time
from dataclasses import dataclass, field

#: Seconds after its job's end in which a stream must have ended: time for a fault of the longest
#: kind, for a gateway to start again on a busy machine, and for a few more tries.
PATIENCE_S = 60.0
#: Seconds in which a submission must have been accepted: on a busy machine, where gateways start
#: slowly and answers come too late for the client, faults that overlap last a minute.
SUBMIT_S = 180.0


@dataclass
class Trail:
    """One stream's reader, over all its connections."""

    kind: str
    #: Of a chat: empty until its first chunk has come.
    job_id: str = ""
    #: How its connections ended.
    ends: collections.Counter[str] = field(default_factory=collections.Counter)
    #: As of time.monotonic.
    began: float = field(default_factory=time.monotonic)
    _latest: str = "nothing"
    _latest_at: float = field(default_factory=time.monotonic)

    def hear(self, event: str) -> None:
        """Note the event that has just come."""
        self._latest, self._latest_at = event, time.monotonic()

    @property
    def age_s(self) -> float:
        """Seconds since the reader began."""
        return time.monotonic() - self.began

    def is_overdue(self, since_end_s: float | None) -> bool:
        """Tell whether it must have ended by now; its job ended `since_end_s` ago, None for not.

        A job that does not end is the fault of whoever has it, not of the stream. A chat that has
        no job at all must have got one by now.
        """
        if not self.job_id:
            return self.age_s > SUBMIT_S
        return since_end_s is not None and min(since_end_s, self.age_s) > PATIENCE_S

    def __str__(self) -> str:
        quiet_s = time.monotonic() - self._latest_at
        return (
            f"{self.kind} of {self.job_id or 'no job'}, read for {self.age_s:.0f} s, "
            f"last got {self._latest} {quiet_s:.0f} s ago, connections ended by {dict(self.ends)}"
        )

"""How much work waits and runs for each model."""

from __future__ import annotations

from dataclasses import dataclass

from shared.store.connection import Client, load_script
from shared.store.failures import guard

#: Rows that are looked at where jobs of several models wait or run together.
_MAX_ROWS = 512


@dataclass(frozen=True, slots=True)
class ModelLoad:
    """The jobs of one model."""

    queued: int = 0
    running: int = 0
    oldest_wait_s: float = 0.0


class ModelLoads:
    """Reads the loads of models; every method raises StoreUnavailable without Redis."""

    def __init__(self, client: Client) -> None:
        self._models = load_script(client, "admission/models")

    def read(self) -> dict[str, ModelLoad]:
        """Return the loads by model, of those for which jobs wait or run; "" is not known.

        Those of many jobs that wait for all workers alike are told from the oldest of them.
        """
        with guard():
            reply = self._models(keys=[], args=[_MAX_ROWS])
        return {
            name: ModelLoad(int(queued), int(running), int(oldest_ms) / 1000)
            for name, queued, running, oldest_ms in reply
        }

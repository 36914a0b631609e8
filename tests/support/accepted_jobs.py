"""Submits jobs all the time, and tells which of the accepted ones are lost."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any, Self

import httpx

from tests.support.harness import eventually


class AcceptedJobs:
    """Clients that submit one job after another, each with an Idempotency-Key of its own."""

    def __init__(self, url: str, clients: int = 4, pause_s: float = 0.05) -> None:
        self._url = url
        self._pause_s = pause_s
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._submit, args=(number,)) for number in range(clients)
        ]
        #: Ids of jobs that were answered 202, and when.
        self.accepted: list[tuple[str, float]] = []
        #: (status, code) of every other answer, and whether Retry-After came with all of them.
        self.refused: Counter[tuple[int, str]] = Counter()
        self.longest_s = 0.0
        self.told_when = True

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _submit(self, client: int) -> None:
        number = 0
        with httpx.Client(base_url=self._url, timeout=60, trust_env=False) as http:
            while not self._stopped.wait(self._pause_s):
                # one that was refused is sent again under its key, as a careful client does
                number += self._send(http, f"{client}-{number}")

    def _send(self, http: httpx.Client, key: str) -> bool:
        began = time.monotonic()
        answer = http.post("/v1/jobs", json={"prompt": key}, headers={"Idempotency-Key": key})
        self.longest_s = max(self.longest_s, time.monotonic() - began)
        if answer.status_code == 202:
            self.accepted.append((answer.json()["id"], began))
            return True
        self.refused[answer.status_code, answer.json()["code"]] += 1
        self.told_when &= "Retry-After" in answer.headers
        return False

    def await_new(self, count: int = 5) -> None:
        """Wait until jobs that are submitted from now on are accepted."""
        now = time.monotonic()
        eventually(lambda: sum(began > now for _, began in self.accepted) >= count)

    def find_lost(self) -> list[str]:
        """Return the accepted jobs that do not succeed."""
        with httpx.Client(base_url=self._url, timeout=60, trust_env=False) as http:
            return [job_id for job_id, _ in self.accepted if not self._succeeds(http, job_id)]

    def _succeeds(self, http: httpx.Client, job_id: str) -> bool:
        def look() -> Any:
            answer = http.get(f"/v1/jobs/{job_id}")
            if answer.status_code == 404:
                return "lost"
            status = answer.json().get("status")
            return status if status in ("succeeded", "failed", "expired") else None

        return bool(eventually(look) == "succeeded")

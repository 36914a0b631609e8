"""Two gateways that ask for keys, and the operator's command for these."""

from __future__ import annotations

import contextlib
import io
import operator
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import httpx

from gateway import admin
from shared.settings import Settings
from tests.support.harness import (
    QUICK,
    ROOT,
    Process,
    RedisServer,
    System,
    eventually,
    running_redis,
    running_system,
)


@dataclass
class KeyedService:
    """Two gateways, and the operator's command for their keys."""

    redis: RedisServer
    system: System
    gateways: list[httpx.Client]
    processes: list[Process]
    secrets: list[str] = field(default_factory=list)

    def admin(
        self, *arguments: str, code: int = 0, area: str = "keys"
    ) -> subprocess.CompletedProcess[str]:
        """Run the operator's command inside of the test: a process for each costs seconds."""
        completed = self._run_inside([area, *arguments])
        assert completed.returncode == code, completed.stderr
        return completed

    def _run_inside(self, arguments: list[str]) -> subprocess.CompletedProcess[str]:
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, self.system.env),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                code = admin.run(arguments, Settings())
            except SystemExit as end:
                code = int(end.code or 0)
        return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())

    def make_first_key(self) -> None:
        """Make a key as operators do, by the program."""
        command = [sys.executable, "-m", "gateway.admin", "keys", "create", "first"]
        made = subprocess.run(
            command, env=self.system.env, cwd=ROOT, capture_output=True, text=True, check=True
        )
        self.headers(made.stdout)

    def key(self, name: str, *options: str) -> dict[str, str]:
        """Return the headers of a new key."""
        return self.headers(self.admin("create", name, *options).stdout)

    def headers(self, secret: str) -> dict[str, str]:
        self.secrets.append(secret.strip())
        return {"Authorization": f"Bearer {secret.strip()}"}

    def at_once(self, count: int, headers: dict[str, str], **body: object) -> list[httpx.Response]:
        """Submit jobs by as many clients at the same time, half of them at each gateway.

        Redis looks silent to a gateway that a busy machine starves: what it refused is sent again.
        """
        return self._post_at_once(count, headers, body, eventually)

    def burst(self, count: int, headers: dict[str, str], **body: object) -> list[httpx.Response]:
        """Submit as `at_once`, and return nothing where a starved gateway has refused a request.

        Such a request may count against a rate, so that the others cannot be told exactly.
        """
        answers = self._post_at_once(count, headers, body, operator.call)
        return [] if None in answers else answers

    def _post_at_once(
        self,
        count: int,
        headers: dict[str, str],
        body: dict[str, object],
        send: Callable[[Callable[[], httpx.Response | None]], Any],
    ) -> list[Any]:
        def post(number: int) -> Any:
            with httpx.Client(base_url=self.gateways[number % 2].base_url, trust_env=False) as http:
                json = {"prompt": "hi", **body}

                def answered() -> httpx.Response | None:
                    answer = http.post("/v1/jobs", json=json, headers=headers, timeout=60)
                    return None if answer.status_code == 503 else answer

                return send(answered)

        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(post, range(count)))


@contextlib.contextmanager
def keyed_service(folder: Path, **settings: str) -> Iterator[KeyedService]:
    """Yield a service whose first key is made."""
    with (
        running_redis(folder) as redis,
        running_system(redis.url, folder, **QUICK, **settings) as system,
    ):
        pairs = [system.gateway() for _ in range(2)]
        service = KeyedService(
            redis, system, [http for _, http in pairs], [one for one, _ in pairs]
        )
        assert service.gateways[0].get("/v1/jobs").status_code == 200, "nobody has made a key yet"
        service.make_first_key()
        yield service

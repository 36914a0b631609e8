"""Measures the accept path beside LitServe and a plain Flask with Celery, in one run.

`python -m bench.service.accept` needs the extra `bench`. No worker runs: only what the web
process does for a request counts. Ours checks, predicts and stores the job and answers with it; the
others do less.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time

from bench.service.overload import quantile
from bench.service.setup import running_service
from tests.support.harness import (
    BIN,
    QUICK,
    RedisServer,
    System,
    eventually,
    free_port,
)

CLIENTS = 8
BODY = {"prompt": "What does the sign say?"}


async def _client(port: int, path: str, until: float, took: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps(BODY).encode()
    request = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    while time.perf_counter() < until:
        began = time.perf_counter()
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if head.split(b" ", 2)[1] not in (b"200", b"202"):
            raise SystemExit(f"refused: {head!r}")
        await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        took.append(time.perf_counter() - began)
    writer.close()


async def measure(port: int, path: str, clients: int, seconds: float) -> list[float]:
    """Return the seconds of every request; each of the `clients` sends one at a time."""
    took: list[float] = []
    until = time.perf_counter() + seconds
    await asyncio.gather(*(_client(port, path, until, took) for _ in range(clients)))
    return took


def _answers(port: int, path: str) -> bool:
    try:
        return bool(asyncio.run(measure(port, path, 1, 0.05)))
    except OSError:
        return False


def _start(name: str, system: System, redis: RedisServer) -> tuple[int, str]:
    if name == "Sightline":
        _, http = system.gateway(SIGHTLINE_QUEUE_MAX_JOBS="1000000")
        return http.base_url.port or 80, "/v1/jobs"
    port = free_port()
    if name == "LitServe":
        command = [sys.executable, "-m", "bench.baselines.litserve_app", str(port)]
    else:
        command = [str(BIN / "gunicorn"), "-k", "gevent", "-b", f"127.0.0.1:{port}"]
        command.append("bench.baselines.celery_app:app")
    system.spawn(command, name.split(maxsplit=1)[0], {"REDIS_URL": redis.url})
    eventually(lambda: _answers(port, "/predict"), 60, 0.3)
    return port, "/predict"


def row(name: str, seconds: float) -> str:
    """Measure a service with one client and with several; return a row of Markdown."""
    with running_service(**QUICK) as (system, redis):
        port, path = _start(name, system, redis)
        asyncio.run(measure(port, path, 1, 1.0))
        one = asyncio.run(measure(port, path, 1, seconds))
        many = asyncio.run(measure(port, path, CLIENTS, seconds))
    cells = [name]
    for took in (one, many):
        cells.append(f"{len(took) / seconds:.0f}")
        cells.append(f"{quantile(took, 0.5):.1f} / {quantile(took, 0.99):.1f}")
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0)
    seconds = parser.parse_args().seconds
    load = os.getloadavg()[0]
    rows = [row(name, seconds) for name in ("Sightline", "Flask and Celery", "LitServe")]
    print(f"Load average at the start {load:.1f}, at the end {os.getloadavg()[0]:.1f}.\n")
    heads = [f"{clients}, requests/s | p50 / p99, ms" for clients in ("1 client", "8 clients")]
    print("| | " + " | ".join(heads) + " |")
    print("|---|---:|---:|---:|---:|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()

"""The system under chaos: its processes and network, and the faults that can hit them."""

from __future__ import annotations

import contextlib
import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.chaos.faults import Fault, Team, redis_killer
from tests.chaos.proxy import Proxy, proxied
from tests.support.harness import QUICK, Process, RedisServer, System, free_port, running_redis
from tests.support.harness import running_system as running_processes

_PATIENT = {
    # so many attempts that no job is ever taken for poison
    "SIGHTLINE_MAX_ATTEMPTS": "20",
    "SIGHTLINE_QUEUE_MAX_JOBS": "1000000",
    "SIGHTLINE_QUEUE_MAX_WAIT_S": "100000",
    "SIGHTLINE_REDIS_TIMEOUT_S": "1.5",
    # a client that hears nothing for four seconds goes on to another gateway
    "SIGHTLINE_PING_S": "1",
    "SIGHTLINE_ALLOW_NETS": "127.0.0.0/8",
    "SIGHTLINE_ALLOW_PORTS": "1-65535",
    "SIGHTLINE_WEBHOOK_SCHEDULE_S": "[0, 0.5, 0.5, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2]",
    "SIGHTLINE_WEBHOOK_GRACE_S": "1",
}


@dataclass(frozen=True)
class Size:
    """Numbers of processes, slots of each worker, and seconds that a token takes."""

    workers: int = 2
    gateways: int = 1
    couriers: int = 0
    slots: int = 3
    token_s: float = 0.06


@dataclass
class Stage:
    """A running system; gateways reach Redis through one proxy, all others through another."""

    redis: RedisServer
    #: One for each gateway.
    clients: list[httpx.Client]
    gateways: Team
    workers: Team
    couriers: Team | None
    networks: list[Proxy]
    dice: random.Random

    def processes(self) -> list[Fault]:
        """Return the faults of workers and Redis."""
        return [
            *[("kill_worker", self.workers.kill)] * 3,
            ("freeze_worker", self._freezing(self.workers.any)),
            ("terminate_worker", lambda: self.workers.signal_one(signal.SIGTERM)),
            *[("kill_redis", redis_killer(self.redis, self.dice, (0.2, 1.5)))] * 2,
        ]

    def network(self) -> list[Fault]:
        """Return the faults of the connections to Redis."""
        return [
            ("slow_network", lambda: self._any().slow(self.dice.uniform(0.02, 0.2), 2.0)),
            ("reset_connections", lambda: self._any().reset()),
            ("forget_connections", lambda: self._any().forget()),
            ("lose_answers", lambda: self._any().lose_answers(self.dice.uniform(0.5, 2.5))),
        ]

    def everything(self) -> list[Fault]:
        """Return all faults, with those of gateways, couriers and a frozen Redis."""
        couriers = [("kill_courier", self.couriers.kill)] if self.couriers else []
        return [
            *(self.processes() + self.network() + couriers),
            ("kill_gateway", self.gateways.kill),
            ("freeze_gateway", self._freezing(self.gateways.any)),
            ("cut_network", lambda: self._any().cut(self.dice.uniform(1.0, 5.0))),
            ("freeze_redis", self._freezing(lambda: self.redis)),
        ]

    def _any(self) -> Proxy:
        return self.dice.choice(self.networks)

    @staticmethod
    def _freezing(choose: Callable[[], Process | RedisServer]) -> Callable[[], None]:
        def freeze() -> None:
            frozen = choose()
            frozen.signal(signal.SIGSTOP)
            # longer than a lease: others have taken over the worker's jobs when it wakes
            time.sleep(3.0)
            frozen.signal(signal.SIGCONT)

        return freeze


@contextlib.contextmanager
def staged(folder: Path, size: Size, seed: int) -> Iterator[Stage]:
    """Run a system of this size for the block."""
    env = QUICK | _PATIENT | {"SIGHTLINE_SIMULATED_TOKEN_S": str(size.token_s)}
    with (
        running_redis(folder) as redis,
        proxied(redis.port) as front,
        proxied(redis.port) as back,
        running_processes(back.url, folder, **env) as system,
    ):
        dice = random.Random(seed)
        ports = [free_port() for _ in range(size.gateways)]
        with contextlib.ExitStack() as opened:
            clients = [opened.enter_context(_client(port)) for port in ports]
            couriers = (
                Team(size.couriers, lambda wait: system.courier(wait=wait), dice)
                if size.couriers
                else None
            )
            yield Stage(
                redis=redis,
                clients=clients,
                gateways=_gateways(system, ports, front.url, dice),
                workers=Team(
                    size.workers, lambda wait: system.worker(slots=size.slots, wait=wait), dice
                ),
                couriers=couriers,
                networks=[front, back],
                dice=dice,
            )


def _client(port: int) -> httpx.Client:
    # a short timeout: from a frozen gateway, go on to another
    return httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=4.0, trust_env=False)


def _gateways(system: System, ports: list[int], url: str, dice: random.Random) -> Team:
    """Start gateways; each keeps its port when it is restarted."""
    running: dict[int, Process] = {}

    def start(wait: bool) -> Process:
        port = next(p for p in ports if p not in running or not running[p].running)
        running[port], _ = system.gateway(port=port, wait=wait, SIGHTLINE_REDIS_URL=url)
        return running[port]

    return Team(len(ports), start, dice)

"""A replicated Redis for tests: one master, its replicas, and three sentinels, all real."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis

from tests.support.harness import ROOT, RedisServer, eventually, free_port, redis_binary

#: As deploy/ advises, with the names that stand there.
DEPLOY = ROOT / "deploy" / "redis"
SERVICE = "sightline"
_PASSWORD, _SENTINEL_PASSWORD = "CLIENT-PASSWORD", "SENTINEL-PASSWORD"
#: Users of the servers beside Sightline's, which is the default one.
_OTHERS = ("replica", "sentinel")
_MEMORY = Path("/dev/shm")
#: On a busy machine, where sentinels may have to vote several times.
_FAILOVER_S = 150.0


class ReplicatedRedis:
    """A service that fails over when its master is away for less than a second."""

    def __init__(
        self, folder: Path, replicas: int = 2, down_ms: int = 800, *, guarded: bool = True
    ) -> None:
        """Without `guarded`, a master without replicas takes writes, against our advice."""
        self.folder = folder
        self._guard = () if guarded else ("--min-replicas-to-write", "0")
        self._down_ms = down_ms
        self.servers = [self._server(f"server{number}") for number in range(replicas + 1)]
        self._sentinels: list[subprocess.Popen[bytes]] = []
        self._sentinel_ports = [free_port() for _ in range(3)]
        # a sentinel waits for its disk, and one that was late judges nobody for half a minute
        self._quick = Path(tempfile.mkdtemp(dir=_MEMORY if _MEMORY.is_dir() else folder))

    @property
    def url(self) -> str:
        """The URL that Sightline is given."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in self._sentinel_ports)
        secret = f"sentinel_password={_SENTINEL_PASSWORD}"
        return f"redis+sentinel://:{_PASSWORD}@{hosts}/{SERVICE}/0?{secret}"

    def _server(self, name: str) -> RedisServer:
        folder = self.folder / name
        folder.mkdir(parents=True)
        advised = ("--include", str(DEPLOY / "server.conf"))
        fast = ("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")
        return RedisServer(folder, *advised, *fast, *self._guard, login=("default", _PASSWORD))

    def start(self) -> ReplicatedRedis:
        """Start all of them, and wait until the replicas are connected."""
        for server in self.servers:
            server.start()
        for replica in self.servers[1:]:
            replica.client().replicaof("127.0.0.1", self.servers[0].port)
        master = self.servers[0].client()
        eventually(lambda: len(_online(master)) == len(self.servers) - 1)
        for port in self._sentinel_ports:
            self._sentinels.append(self._start_sentinel(port))
        eventually(lambda: all(map(self._knows_all, self._sentinel_ports)))
        return self

    def _start_sentinel(self, port: int) -> subprocess.Popen[bytes]:
        folder = self._quick / f"sentinel{port}"
        folder.mkdir()
        file = folder / "sentinel.conf"
        text = (DEPLOY / "sentinel.conf").read_text()
        for advised, wanted in {
            "port 26379": f'port {port}\nbind 127.0.0.1\ndir "{folder}"',
            "10.0.0.1 6379": f"127.0.0.1 {self.servers[0].port}",
            f"milliseconds {SERVICE} 5000": f"milliseconds {SERVICE} {self._down_ms}",
            f"timeout {SERVICE} 60000": f"timeout {SERVICE} 6000",
        }.items():
            assert advised in text
            text = text.replace(advised, wanted)
        file.write_text(text)
        with (folder / "log").open("wb") as log:
            return subprocess.Popen([redis_binary(), file, "--sentinel"], stdout=log, stderr=log)

    def sentinel(self, port: int) -> Any:
        """Return a client of the sentinel at this port."""
        return redis.Redis(port=port, password=_SENTINEL_PASSWORD, decode_responses=True)

    def _knows_all(self, port: int) -> bool:
        try:
            seen = self.sentinel(port).sentinel_master(SERVICE, return_responses=True)
        except redis.RedisError:
            return False
        known = (seen["num-other-sentinels"], seen["num-slaves"])
        return known == (2, len(self.servers) - 1)

    def master(self) -> RedisServer:
        """Return the server that most sentinels call the master."""
        ports = [
            int(
                self.sentinel(port).execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)[
                    1
                ]
            )
            for port in self._sentinel_ports
        ]
        return next(s for s in self.servers if s.port == max(ports, key=ports.count))

    def _master_port(self, sentinel: int) -> int:
        word = self.sentinel(sentinel).execute_command(
            "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE
        )
        return int(word[1])

    def replicas(self) -> list[RedisServer]:
        """Return the servers that are not the master."""
        master = self.master()
        return [server for server in self.servers if server is not master]

    def cut_off(self, server: RedisServer) -> None:
        """Part a server from sentinels and replicas, as a broken link would; clients reach it."""
        self._let_in(server, "off")

    def rejoin(self, server: RedisServer) -> None:
        """Mend the link of a server that was cut off, and wait until it is a replica."""
        self._let_in(server, "on")
        self.await_rejoined(server)

    def await_rejoined(self, server: RedisServer) -> None:
        """Wait until a server that is back has become a replica and is up to date."""
        eventually(lambda: server.client().info("replication").get("master_link_status") == "up")

    def _let_in(self, server: RedisServer, state: str) -> None:
        client = server.client()
        for user in _OTHERS:
            client.execute_command("ACL", "SETUSER", user, state)
            if state == "off":
                client.execute_command("CLIENT", "KILL", "USER", user)

    def await_failover(self, old: RedisServer) -> RedisServer:
        """Return the master that was chosen after `old`."""
        eventually(lambda: self.master() is not old, _FAILOVER_S)
        return self.master()

    def stop(self) -> None:
        for sentinel in self._sentinels:
            sentinel.kill()
            sentinel.wait()
        for server in self.servers:
            server.stop()
        shutil.rmtree(self._quick)


def _online(master: Any) -> list[Any]:
    replication = master.info("replication")
    slaves = [value for name, value in replication.items() if name.startswith("slave")]
    return [one for one in slaves if isinstance(one, dict) and one["state"] == "online"]


@contextlib.contextmanager
def running_sentinels(folder: Path, **options: Any) -> Iterator[ReplicatedRedis]:
    """Run a replicated Redis for the block."""
    service = ReplicatedRedis(folder, **options)
    try:
        yield service.start()
    finally:
        service.stop()

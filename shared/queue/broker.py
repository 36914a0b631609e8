"""The Redis that Celery's doorbells go through: its address, its TLS, and its master."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit, urlunsplit

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis
from redis.connection import parse_url

from shared.redis_url import SentinelUrl
from shared.settings import Settings
from shared.store.connection import TrimmedPool, make_pool
from shared.store.failover.followed_connection import FollowedConnection, FollowedTlsConnection

# by its usual name, by which Flower recognises it
TRANSPORT_ALIASES["sentinel"] = "shared.queue.broker:MasterTransport"


def broker_address(url: str) -> dict[str, Any]:
    """Return Celery's settings for a URL of Redis."""
    service = SentinelUrl.parse(url)
    server = urlsplit(service.server if service else url)
    if not service and server.scheme != "rediss":
        return {"broker_url": url}
    secured = _tls_options(urlunsplit(server))
    # what a URL says of TLS is not passed on to Flower, and kombu would trust any certificate
    scheme, netloc = server.scheme, server.netloc
    if service:
        # Flower asks this one for lengths of queues; all else asks every sentinel
        host, port = service.sentinels[0]
        login, at, _ = server.netloc.rpartition("@")
        place = f"[{host}]" if ":" in host else host
        scheme, netloc = "sentinel", f"{login}{at}{place}:{port}"
    address: dict[str, Any] = {"broker_url": urlunsplit((scheme, netloc, server.path, "", ""))}
    if secured is not None:
        address["broker_use_ssl"] = secured
    return address


def _tls_options(url: str) -> dict[str, Any] | None:
    """Return how to check certificates, by default as strictly as anywhere; None without TLS."""
    if not url.startswith("rediss:"):
        return None
    said: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
    chosen = {name: value for name, value in said.items() if name.startswith("ssl_")}
    return {"ssl_cert_reqs": "required", "ssl_check_hostname": True, **chosen}


def broker_options(url: str) -> dict[str, Any]:
    """Return what Celery's transport, and Flower, are told of the sentinels behind a URL."""
    service = SentinelUrl.parse(url)
    if service is None:
        return {}
    login = {"username": service.username, "password": service.password, "ssl": service.tls}
    return {
        "master_name": service.service,
        "sentinel_kwargs": {name: value for name, value in login.items() if value},
    }


class MasterChannel(kombu_redis.Channel):
    """A channel whose connections follow the master, as those of the store do.

    kombu's own for Sentinel keeps listening to a master that was frozen and replaced.
    """

    keyprefix_fanout: str
    connection_class = FollowedConnection
    connection_class_ssl = FollowedTlsConnection

    def _get_pool(self, asynchronous: bool = False) -> TrimmedPool:
        params = self._connparams(asynchronous=asynchronous)
        self.keyprefix_fanout = self.keyprefix_fanout.format(db=params["db"])
        # these are of the sentinel in the broker's URL, which is not where the data are
        options = {
            name: value for name, value in params.items() if name not in ("host", "port", "db")
        }
        return make_pool(Settings().redis_url, **options)


class MasterTransport(kombu_redis.Transport):
    """Celery's transport where sentinels tell which Redis is the master."""

    Channel = MasterChannel

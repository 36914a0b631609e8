"""gunicorn's configuration, from the settings, and the start and end of each gateway process."""

from __future__ import annotations

# before anything else, or sockets and locks made by imports stay unpatched
from gevent import monkey

monkey.patch_all()

import gc
import os

# what a start makes stays: looking through it for garbage would take a sixth of the start
gc.disable()

from gateway.metrics.figures_folder import make_figures_folder

# before anything imports prometheus_client, or the counts of its processes are not summed
_shares_metrics = "PROMETHEUS_MULTIPROC_DIR" not in os.environ
if _shares_metrics:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(make_figures_folder())

import logging
import math
import shutil
import sys
from typing import Any

from gateway.auth import UnsafeBinding, check_binding
from gateway.batches.pump import BatchPump
from gateway.history_recorder import HistoryRecorder
from gateway.http.server import open_files
from gateway.http.server.gevent_worker import GRACE_S
from shared import log
from shared.addresses import parse_networks
from shared.catalog.presets import load_presets
from shared.catalog.rules import load_rules
from shared.errors import BadConfig, StoreUnavailable
from shared.queue.reaper import Reaper
from shared.settings import Settings
from shared.store import Store
from shared.store.access.api_key_store import ApiKeyStore
from shared.store.blobs.sweeper import BlobSweeper
from shared.store.connection import connect
from shared.store.redis_info import refuse_cluster

_settings = Settings()
_files = open_files.raise_soft_limit()

bind = (
    f"[{_settings.host}]:{_settings.port}"
    if ":" in _settings.host
    else (f"{_settings.host}:{_settings.port}")
)
workers = _settings.gateway_processes
worker_class = "gateway.http.server.gevent_worker.Worker"
#: More than the worker serves, so that it can refuse some instead of leaving them waiting.
worker_connections = open_files.connections_within(_files) + open_files.spare_within(_files)
#: Streams and long polls are greenlets: only a hung process is silent for this long.
timeout = 60
graceful_timeout = math.ceil(GRACE_S + _settings.gateway_leave_s + 2)
keepalive = 75
#: The control socket can shut the server down and is in the home of the user.
control_socket_disable = True
limit_request_line = 8190
#: Who may name another scheme, path prefix or address of a client than its connection shows.
forwarded_allow_ips = ",".join(map(str, parse_networks(_settings.trusted_proxies)))
logger_class = "gunicorn.glogging.Logger"
logconfig_dict: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "root": {"level": _settings.log_level, "handlers": []},
    "loggers": {
        "gunicorn.error": {"level": _settings.log_level, "handlers": [], "propagate": True},
        "gunicorn.access": {"level": "CRITICAL", "handlers": [], "propagate": False},
    },
}


gc.freeze()
gc.enable()


def on_starting(server: Any) -> None:  # noqa: ARG001
    """Configure logging first; exit if presets, rules or the binding are invalid."""
    log.configure(_settings)
    try:
        load_presets(_settings, load_rules(_settings))
        refuse_cluster(_settings)
    except BadConfig as error:
        # here, because a child that cannot start would leave a traceback and be started again
        logging.getLogger("gateway").critical("gateway.cannot_start", extra={"cause": str(error)})
        sys.exit(f"sightline gateway cannot start: {error}")
    _check_access()


def _check_access() -> None:
    client = connect(_settings)
    try:
        check_binding(_settings, ApiKeyStore(client).any)
    except StoreUnavailable as error:
        # until Redis answers nothing is served, and then only to callers with a key
        logging.getLogger("gateway").warning("gateway.unchecked", extra={"cause": error.detail})
    except UnsafeBinding as error:
        logging.getLogger("gateway").critical("gateway.cannot_start", extra={"cause": str(error)})
        sys.exit(f"sightline gateway cannot start: {error}")
    finally:
        client.close()


def post_fork(server: Any, worker: Any) -> None:  # noqa: ARG001
    """Look for no garbage while a gateway process imports and makes its app."""
    gc.disable()


def post_worker_init(worker: Any) -> None:
    """Start the background work of a gateway process: decoder, Redis watchdog, reaper, batches."""
    log.configure(_settings)
    services = worker.wsgi.extensions["sightline"]
    services.decoder.start()
    services.document_reader.start()
    services.store_health.start()
    # not through the breaker: scanning a long queue may take longer than it allows
    Reaper(Store(_settings), _settings).start()
    BatchPump(worker.wsgi, services).start()
    if services.blobs is not None:
        BlobSweeper(services.blobs).start()
    HistoryRecorder(services.queue_history).start()
    # nor does a later search go through the app again, which all requests would wait for
    gc.freeze()
    gc.enable()
    logging.getLogger("gateway").info("gateway.ready", extra={"bind": bind, "pid": os.getpid()})


def worker_exit(server: Any, worker: Any) -> None:  # noqa: ARG001
    """Stop the decoder children and flush traces when a gateway process ends."""
    if getattr(worker, "wsgi", None) is not None:
        worker.wsgi.extensions["sightline"].decoder.close()
        worker.wsgi.extensions["sightline"].document_reader.close()
        worker.wsgi.extensions["sightline"].tracing.close()


def on_exit(server: Any) -> None:  # noqa: ARG001
    """Delete the folder in which the processes shared their metrics."""
    if _shares_metrics:
        shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)

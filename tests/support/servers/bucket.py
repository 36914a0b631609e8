"""A bucket service on the loopback, behind a door that tests can shut."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import obstore
from obstore.store import S3Store

from tests.support.harness import BIN, eventually, free_port

BUCKET = "contents"


class Door:
    """Passes connections on to a port of this machine; shut, it refuses and cuts them."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self._target = target
        self._open: list[socket.socket] = []
        self._listener: socket.socket | None = None

    def open(self) -> None:
        listener = socket.create_server(("127.0.0.1", self.port))
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def shut(self) -> None:
        """Refuse from now on, and cut what is connected, as a killed server would."""
        assert self._listener is not None
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                self._open += [near, far]
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=_pump, args=ends, daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
    for one in (source, sink):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


class Bucket:
    """moto's S3 as a server of its own, with one bucket."""

    def __init__(self, folder: Path) -> None:
        self._port = free_port()
        with (folder / "bucket.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(BIN / "moto_server"), "-p", str(self._port)],
                stdout=log,
                stderr=log,
            )
        self.door = Door(self._port)
        address = f"http://127.0.0.1:{self._port}"
        eventually(lambda: _answers(address))
        assert httpx.put(f"{address}/{BUCKET}").status_code == 200
        #: The bucket, past the door.
        self.store = S3Store(
            BUCKET,
            endpoint=address,
            region="us-east-1",
            access_key_id="test",
            secret_access_key="test",
            client_options={"allow_http": True},
        )
        self.door.open()

    @property
    def env(self) -> dict[str, str]:
        """Return the settings of a service that keeps its blobs here."""
        return {
            "SIGHTLINE_BLOBS": f"s3://{BUCKET}/sightline",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.door.port}",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }

    def names(self, kind: str) -> list[str]:
        """Return the names of the blobs of a kind."""
        names = [str(one["path"]) for chunk in obstore.list(self.store) for one in chunk]
        return sorted(name for name in names if f"/{kind}/" in name)

    def freeze(self) -> None:
        """Let it accept connections and say nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self.thaw()
        self._process.kill()
        self._process.wait()


def _answers(address: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(address, timeout=30).status_code == 200
    return False


@contextlib.contextmanager
def running_bucket(folder: Path) -> Iterator[Bucket]:
    """A bucket service, and the variables by which this process' own clients know it."""
    bucket = Bucket(folder)
    try:
        yield bucket
    finally:
        bucket.stop()


def settings_of(bucket: Bucket) -> dict[str, str]:
    """Return the same as arguments of Settings; credentials stay in the environment."""
    os.environ.update({k: v for k, v in bucket.env.items() if k.endswith(("_ID", "_KEY"))})
    return {
        "blobs": bucket.env["SIGHTLINE_BLOBS"],
        "blobs_endpoint": bucket.env["AWS_ENDPOINT_URL"],
        "blobs_region": "us-east-1",
    }

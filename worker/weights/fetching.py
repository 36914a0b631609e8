"""Brings a model's files to this machine, once, however many processes want them."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from urllib.parse import urlsplit

from shared.catalog.model_place import Place
from shared.long_steps import long_step
from worker.weights.downloading import download_file, explaining_disk, is_right
from worker.weights.errors import (
    DiskFull,
    NoNetwork,
    ServerDown,
    Unfinished,
    WrongChecksum,
)
from worker.weights.listing import (
    INDEX,
    Listing,
    RemoteFile,
    check_digests,
    choose_small,
    choose_weights,
)
from worker.weights.model_folder import ModelFolder
from worker.weights.progress import DownloadProgress
from worker.weights.requests import Asked, Requests
from worker.weights.sources import HuggingFace, ModelScope, ModelServer

_log = logging.getLogger(__name__)

_AT_ONCE = 4
#: Room that is left on the disk.
_SPARE_BYTES = 64 << 20


def fetch_model(
    place: Place, revision: str = "", *, cache: Path | None = None, ca_file: Path | None = None
) -> Path:
    """Return the folder of a model of a hub, which is downloaded unless it is whole already.

    What is whole is used without asking the hub: a restart changes no weights. `cache` is used
    instead of the hub's own; raises WeightsError.
    """
    server = _find_server(place)
    named = revision or server.latest
    folder = _find_folder(server, place, cache)
    if whole := folder.find_whole(named):
        return whole
    foreign = folder.find_foreign(named)
    if _is_offline():
        if foreign is None:
            raise Unfinished(
                f"{place.name}@{named} is not whole in {folder.path}, and HF_HUB_OFFLINE forbids to"
                " fetch it"
            )
        return foreign
    try:
        return _Fetch(server, place, named, folder, ca_file).run()
    except (NoNetwork, ServerDown) as error:
        if foreign is None:
            raise
        _log.warning("weights.unchecked", extra={"folder": str(foreign), "cause": str(error)})
        return foreign


def is_here(place: Place, revision: str = "", cache: Path | None = None) -> bool:
    """Tell whether a model needs no download."""
    if place.source == "folder":
        return True
    server = _find_server(place)
    named = revision or server.latest
    return _find_folder(server, place, cache).find_whole(named) is not None


def _find_server(place: Place) -> ModelServer:
    return ModelScope() if place.source == "modelscope" else HuggingFace()


def _find_folder(server: ModelServer, place: Place, cache: Path | None) -> ModelFolder:
    return ModelFolder(cache / place.source if cache else server.cache(), place.name)


def _is_offline() -> bool:
    values = (os.environ.get(name, "") for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))
    return any(value.upper() in ("1", "ON", "YES", "TRUE") for value in values)


class _Fetch:
    """One model that is being fetched."""

    def __init__(
        self,
        server: ModelServer,
        place: Place,
        revision: str,
        folder: ModelFolder,
        ca_file: Path | None,
    ) -> None:
        self._server, self._model, self._revision = server, place.name, revision
        self._place, self._folder = place, folder
        self._stopping = threading.Event()
        asked = Asked(_describe(server), server.endpoint, f"{place.name}@{revision}")
        self._requests = Requests(asked, server.headers(), ca_file=ca_file, stopping=self._stopping)

    def run(self) -> Path:
        """Return the folder once it is whole."""
        self._folder.prepare()
        progress = DownloadProgress(self._folder.measure)
        with long_step(f"downloading {self._place}", progress.look, kind="download"):
            try:
                with explaining_disk(self._folder.path), self._folder.locked():
                    # another one may have fetched it meanwhile
                    whole = self._folder.find_whole(self._revision)
                    return whole or self._fetch()
            finally:
                self._stopping.set()
                self._requests.close()

    def _fetch(self) -> Path:
        listing = self._list()
        try:
            return self._fetch_listed(listing)
        except WrongChecksum:
            # a name such as master may stand for newer files meanwhile
            again = self._list()
            if again.revision == listing.revision:
                raise
            self._stopping.clear()
            return self._fetch_listed(again)

    def _list(self) -> Listing:
        return self._server.list_files(self._requests, self._model, self._revision)

    def _fetch_listed(self, listing: Listing) -> Path:
        small = choose_small(listing)
        self._bring(small)
        index = next((file for file in small if file.name == INDEX), None)
        spread = self._folder.blob(index).read_bytes() if index else None
        weights = choose_weights(listing, spread)
        self._bring([*small, *weights])
        return self._folder.publish(listing, [*small, *weights], self._revision)

    def _bring(self, files: Sequence[RemoteFile]) -> None:
        """Have all files whole; raises the first error of any, and stops the others."""
        check_digests(files)
        self._folder.plan(files)
        self._check_room()
        with ThreadPoolExecutor(_AT_ONCE, "weights") as pool:
            pending = [pool.submit(self._bring_one, file) for file in _by_size(files)]
            try:
                done, _ = wait(pending, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
            except BaseException:
                self._stopping.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _bring_one(self, file: RemoteFile) -> None:
        blob, part = self._folder.blob(file), self._folder.part(file)
        if blob.is_file() and is_right(blob, file):
            return
        download_file(self._requests, file, part)
        part.replace(blob)

    def _check_room(self) -> None:
        there, whole = self._folder.measure()
        free = shutil.disk_usage(self._folder.path).free
        if whole - there + _SPARE_BYTES > free:
            raise DiskFull(
                f"{(whole - there) / 1e9:.1f} GB are still to come, and {self._folder.path} has"
                f" room for {free / 1e9:.1f} GB: make room, or set SIGHTLINE_WEIGHTS_DIR"
            )


def _by_size(files: Sequence[RemoteFile]) -> list[RemoteFile]:
    """Return each file's bytes once, the largest first."""
    return sorted({file.digest: file for file in files}.values(), key=lambda file: -file.size)


def _describe(server: ModelServer) -> str:
    """Return a server's name and its host."""
    return f"{server.title} ({urlsplit(server.endpoint).netloc.rpartition('@')[2]})"

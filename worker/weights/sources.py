"""The two kinds of servers that models are fetched from: how each lists and serves files."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from worker.weights.errors import NoNetwork, NotThere, ServerDown
from worker.weights.listing import Listing, RemoteFile, make_file
from worker.weights.requests import Requests

_MAX_ENTRIES = 10_000


class ModelServer(ABC):
    """A server of models, and what of its libraries' settings counts here."""

    title: str
    endpoint: str
    #: The revision where none is named.
    latest: str

    @abstractmethod
    def headers(self) -> dict[str, str]:
        """Return the headers that prove who asks, for the endpoint alone."""

    @abstractmethod
    def cache(self) -> Path:
        """Return the folder in which the server's own library keeps models."""

    @abstractmethod
    def list_files(self, requests: Requests, model: str, revision: str) -> Listing:
        """Return the files of a model's own folder; raises WeightsError."""


class HuggingFace(ModelServer):
    """The Hugging Face hub or a mirror of it, by the settings of huggingface_hub."""

    title = "the Hugging Face hub"
    latest = "main"

    def __init__(self) -> None:
        named = os.environ.get("HF_ENDPOINT", "").rstrip("/")
        self.endpoint = _checked("HF_ENDPOINT", named or "https://huggingface.co")

    def headers(self) -> dict[str, str]:
        """See ModelServer; the token of HF_TOKEN, or of `hf auth login`."""
        from huggingface_hub import get_token

        token = get_token()
        return {"Authorization": f"Bearer {token}"} if token else {}

    def cache(self) -> Path:
        """See ModelServer."""
        general = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
        home = Path(os.environ.get("HF_HOME") or general)
        named = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
        return Path(os.path.expandvars(named or home / "hub")).expanduser()

    def list_files(self, requests: Requests, model: str, revision: str) -> Listing:
        """See ModelServer; the revision becomes the commit that it stands for now.

        Raises ServerDown for answers that no hub gives.
        """
        base = f"{self.endpoint}/api/models/{model}"
        about, _ = requests.get_json(f"{base}/revision/{quote(revision, safe='')}")
        commit = about.get("sha") if isinstance(about, dict) else None
        if not isinstance(commit, str) or not commit.isalnum():
            raise ServerDown(f"{self.endpoint} named no commit of {model}: it is no such hub")
        entries: list[Any] = []
        page: str | None = f"{base}/tree/{commit}"
        while page is not None and len(entries) < _MAX_ENTRIES:
            content, following = requests.get_json(page)
            if not isinstance(content, list):
                raise ServerDown(f"{self.endpoint} sent no list of files: it is no such hub")
            entries += content
            page = self._here(following) if content else None
        listed = [entry for entry in entries if _is_file(entry, "type", "file")]
        files = (self._file(model, commit, entry) for entry in listed)
        return Listing(commit, tuple(filter(None, files)))

    def _here(self, url: str | None) -> str | None:
        """Return a following page's address on our endpoint: mirrors pass on the hub's own."""
        if url is None:
            return None
        parts = urlsplit(url)
        path = parts.path[parts.path.find("/api/models/") :]
        return f"{self.endpoint}{path}?{parts.query}"

    def _file(self, model: str, commit: str, entry: Mapping[str, Any]) -> RemoteFile | None:
        name, large = entry.get("path"), entry.get("lfs")
        url = f"{self.endpoint}/{model}/resolve/{commit}/{quote(str(name))}"
        if isinstance(large, dict):
            return make_file(name, large.get("size"), url, {"sha256": large.get("oid")})
        return make_file(name, entry.get("size"), url, {"git_sha1": entry.get("oid")})


class ModelScope(ModelServer):
    """ModelScope, by the settings of its library."""

    title = "ModelScope"
    latest = "master"

    def __init__(self) -> None:
        named = os.environ.get("MODELSCOPE_ENDPOINT") or os.environ.get("MODELSCOPE_DOMAIN") or ""
        if named and "://" not in named:
            named = f"https://{named}"
        named = named.rstrip("/") or "https://www.modelscope.cn"
        self.endpoint = _checked("MODELSCOPE_ENDPOINT", named)

    def headers(self) -> dict[str, str]:
        """See ModelServer; older endpoints know the token as a cookie."""
        token = os.environ.get("MODELSCOPE_API_TOKEN", "")
        if not token:
            return {}
        return {"Authorization": f"Bearer {token}", "Cookie": f"m_session_id={token}"}

    def cache(self) -> Path:
        """See ModelServer."""
        named = os.environ.get("MODELSCOPE_CACHE") or "~/.cache/modelscope"
        return Path(os.path.expandvars(named)).expanduser() / "sightline"

    def list_files(self, requests: Requests, model: str, revision: str) -> Listing:
        """See ModelServer; the contents get a name from their digests, for it names no commit."""
        base = f"{self.endpoint}/api/v1/models/{model}"
        query = urlencode({"Revision": revision, "Recursive": "False"})
        answer, _ = requests.get_json(f"{base}/repo/files?{query}")
        entries = self._entries(answer, model, revision)
        files = tuple(filter(None, (self._file(base, revision, entry) for entry in entries)))
        contents = "\n".join(sorted(f"{file.digest} {file.name}" for file in files))
        return Listing(hashlib.sha256(contents.encode()).hexdigest()[:40], files)

    def _entries(self, answer: Any, model: str, revision: str) -> list[Mapping[str, Any]]:
        """Return the entries for files; raises WeightsError where the answer has none."""
        if not isinstance(answer, dict):
            raise ServerDown(f"{self.endpoint} sent no list of files: it is no ModelScope")
        if answer.get("Success") is False:
            # older servers say so with the status 200
            raise NotThere(f"{self.title} has no {model}@{revision}: {answer.get('Message')}")
        data = answer.get("Data")
        entries = data.get("Files") if isinstance(data, dict) else data
        if not isinstance(entries, list):
            raise ServerDown(f"{self.endpoint} sent no list of files: it is no ModelScope")
        return [entry for entry in entries if _is_file(entry, "Type", "blob")]

    def _file(self, base: str, revision: str, entry: Mapping[str, Any]) -> RemoteFile | None:
        name = entry.get("Path") or entry.get("Name")
        url = f"{base}/repo?{urlencode({'Revision': revision, 'FilePath': str(name)})}"
        return make_file(name, entry.get("Size"), url, {"sha256": entry.get("Sha256")})


def _checked(variable: str, endpoint: str) -> str:
    """Return an address without a path's end; raises NoNetwork for what is none."""
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NoNetwork(f"{variable} is {endpoint}, which is no address as https://host is")
    return endpoint


def _is_file(entry: Any, field: str, kind: str) -> bool:
    return isinstance(entry, dict) and entry.get(field, kind) == kind

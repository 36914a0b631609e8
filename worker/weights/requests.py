"""Requests to a server of models: asked again while that may help, explained when it does not."""

from __future__ import annotations

import json
import logging
import os
import random
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import certifi
import httpx

from worker.weights.errors import (
    OTHER_PLACES,
    AccessDenied,
    NoNetwork,
    NotThere,
    ServerDown,
    WeightsError,
)

_log = logging.getLogger(__name__)

#: Failures in a row, and in all, after which a server is given up.
_FAILURES, _FAILURES_IN_ALL = 6, 200
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
_LARGEST_LIST = 64 << 20


class Transient(Exception):
    """A failure that may pass."""

    def __init__(self, error: WeightsError, after_s: float | None = None) -> None:
        """Keep the error to raise when it does not pass, and when the server wants to be asked."""
        super().__init__(str(error))
        self.error, self.after_s = error, after_s


class Patience:
    """How often a failing server is asked again, with growing pauses."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._in_a_row = self._in_all = 0

    def note_success(self) -> None:
        """Begin to count anew: something came."""
        self._in_a_row = 0

    def pause(self, failure: Transient) -> None:
        """Wait before the next attempt; raises the failure's error where there is to be none."""
        self._in_a_row += 1
        self._in_all += 1
        if self._in_a_row >= _FAILURES or self._in_all >= _FAILURES_IN_ALL:
            raise failure.error
        pause_s = _FIRST_PAUSE_S * 2 ** (self._in_a_row - 1) * random.uniform(0.8, 1.2)
        pause_s = min(_LONGEST_PAUSE_S, max(pause_s, failure.after_s or 0.0))
        _log.warning(
            "weights.retry", extra={"cause": str(failure.error), "pause_s": round(pause_s, 1)}
        )
        if self._stopping.wait(pause_s):
            raise failure.error


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom we ask for what, for sentences about it."""

    #: The server, with its address where that is not its own.
    server: str
    endpoint: str
    #: OWNER/NAME@REVISION
    model: str


class Requests:
    """Requests for one model; closed by `close`."""

    def __init__(
        self,
        asked: Asked,
        headers: Mapping[str, str],
        *,
        ca_file: Path | None = None,
        stopping: threading.Event | None = None,
    ) -> None:
        """Send `headers` to the endpoint alone, which may redirect to other hosts."""
        self.stopping = stopping or threading.Event()
        self._asked, self._headers = asked, headers
        stall_s = float(os.environ.get("HF_HUB_DOWNLOAD_TIMEOUT") or 30)
        self._client = httpx.Client(
            follow_redirects=True,
            timeout=httpx.Timeout(stall_s, connect=15.0),
            verify=_trusted(ca_file),
            headers={"User-Agent": "sightline", "Accept-Encoding": "identity"},
        )

    def close(self) -> None:
        """End all connections."""
        self._client.close()

    def get_json(self, url: str) -> tuple[Any, str | None]:
        """Return what a server lists, and the address of its next page; raises WeightsError."""
        patience = Patience(self.stopping)
        while True:
            try:
                with self.stream(url) as response:
                    body = _read_list(response)
                    following = response.links.get("next", {}).get("url")
                return self._parse(body, url), following
            except Transient as failure:
                patience.pause(failure)

    @contextmanager
    def stream(
        self, url: str, headers: Mapping[str, str] | None = None
    ) -> Iterator[httpx.Response]:
        """Open a response whose status is 200, 206 or 416; raises Transient or WeightsError.

        What breaks while it is read raises the same.
        """
        own = self._headers if url.startswith(self._asked.endpoint + "/") else {}
        try:
            with self._client.stream("GET", url, headers={**own, **(headers or {})}) as response:
                self._check(response)
                yield response
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            raise self._explain_unreachable(error) from error
        except httpx.TransportError as error:
            reason = str(error) or "it sent nothing for too long"
            failed = ServerDown(f"{self._asked.server} broke off ({reason}); {OTHER_PLACES}")
            raise Transient(failed) from error
        except (httpx.TooManyRedirects, httpx.InvalidURL, httpx.DecodingError) as error:
            raise ServerDown(f"{self._asked.server}: {error}; {OTHER_PLACES}") from error

    def _parse(self, body: bytes, url: str) -> Any:
        try:
            return json.loads(body)
        except ValueError as error:
            raise ServerDown(
                f"{self._asked.server} sent no JSON for {urlsplit(url).path}: a proxy may have"
                f" answered instead; {OTHER_PLACES}"
            ) from error

    def _explain_unreachable(self, error: httpx.TransportError) -> Exception:
        # a server may have sent us on to another one
        reason = f"{error.request.url.host}: {str(error) or 'no answer'}"
        if "CERTIFICATE_VERIFY_FAILED" in reason:
            return NoNetwork(
                f"{self._asked.server} has a certificate that is not trusted ({reason}); name the"
                " authority of a proxy that opens connections in SIGHTLINE_CA_FILE"
            )
        return Transient(
            NoNetwork(f"{self._asked.server} cannot be reached ({reason}); {OTHER_PLACES}")
        )

    def _check(self, response: httpx.Response) -> None:
        status = response.status_code
        if status in (200, 206, 416):
            return
        # where files lie, an address that was signed for us may be out of date
        elsewhere = not str(response.url).startswith(self._asked.endpoint + "/")
        if status in _AGAIN or elsewhere:
            answered = f"{_host(response)} answered {status}"
            raise Transient(
                ServerDown(f"{self._asked.server}: {answered}; {OTHER_PLACES}"),
                _retry_after(response),
            )
        raise self._explain_refusal(response)

    def _explain_refusal(self, response: httpx.Response) -> WeightsError:
        """Return what a status below 500 means; the hub names the reason in a header."""
        status, code = response.status_code, response.headers.get("X-Error-Code", "")
        server, model = self._asked.server, self._asked.model
        page = f"{self._asked.endpoint}/{model.partition('@')[0]}"
        if code == "GatedRepo":
            return AccessDenied(
                f"{model} is gated: accept its terms at {page}, and set HF_TOKEN to a token of"
                " that account"
            )
        if code in ("RevisionNotFound", "EntryNotFound"):
            return NotThere(f"{server} has no {model}; check SIGHTLINE_MODEL_REVISION")
        if status in (401, 403) and self._headers:
            return AccessDenied(
                f"{server} refuses {model} to this token ({status}): it is wrong or out of date, or"
                " its account may not read the model"
            )
        if status in (401, 403):
            return AccessDenied(
                f"{server} refuses {model} without a token ({status}): check the name, and for a"
                " model that is private or gated set HF_TOKEN or MODELSCOPE_API_TOKEN"
            )
        if status in (404, 410):
            return NotThere(f"{server} has no {model}; check the name and the revision")
        return ServerDown(f"{server}: {_host(response)} answered {status}; {OTHER_PLACES}")


def _trusted(ca_file: Path | None) -> ssl.SSLContext | bool:
    if ca_file is None:
        return True
    context = ssl.create_default_context(cafile=certifi.where())
    context.load_verify_locations(ca_file)
    return context


def _host(response: httpx.Response) -> str:
    return response.url.host


def _retry_after(response: httpx.Response) -> float | None:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdigit() else None


def _read_list(response: httpx.Response) -> bytes:
    body = bytearray()
    for piece in response.iter_bytes():
        body += piece
        if len(body) > _LARGEST_LIST:
            raise ServerDown("the server's list of files has no end")
    return bytes(body)

"""A real HTTP server on loopback that serves a model as the Hugging Face hub and ModelScope do.

It redirects to another host for the bytes of large files, knows ranges, and does on command what
servers do at bad times: cut, stall, answer errors, send other bytes.
"""

from __future__ import annotations

import hashlib
import json
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "c0ffee" + "0" * 34
_PIECE = 16_384


def safetensors_of(size: int, fill: int = 7) -> bytes:
    """Return a valid safetensors file with one tensor of so many bytes."""
    header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes([fill]) * size


def tiny_model(size: int = 300_000) -> dict[str, bytes]:
    """Return the files of a model in two shards, beside much that no engine needs."""
    shards = {f"model-0000{n}-of-00002.safetensors": safetensors_of(size, n) for n in (1, 2)}
    index = {"weight_map": {f"layer.{n}": name for n, name in enumerate(shards)}}
    return {
        "config.json": b'{"model_type": "qwen3_vl"}',
        "tokenizer.json": b"{}",
        "model.safetensors.index.json": json.dumps(index).encode(),
        **shards,
        "pytorch_model.bin": b"pickled" * 100,
        "model.onnx": b"onnx" * 100,
        "model-q4.gguf": b"GGUF" * 100,
        "consolidated.safetensors": safetensors_of(size, 9),
        "README.md": b"# about",
    }


@dataclass
class ModelHub:
    """The server, what it serves, and the faults that are to come; a model's name is any."""

    files: dict[str, bytes]
    #: For the next requests of a file: bytes after which the connection is cut.
    cuts: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    #: For the next requests of any list, or of a file's bytes: a status with headers.
    list_faults: list[tuple[int, Mapping[str, str]]] = field(default_factory=list)
    file_faults: list[tuple[int, Mapping[str, str]]] = field(default_factory=list)
    #: Files of which other bytes are sent, and how often.
    wrong: dict[str, int] = field(default_factory=dict)
    #: Files that are listed without a checksum.
    unchecked: set[str] = field(default_factory=set)
    ranges: bool = True
    #: Seconds before each piece of 16 KiB.
    piece_s: float = 0.0
    #: The token that lists and files want; none if empty.
    token: str = ""
    commit: str = COMMIT
    #: Where a list says that its next page is; its own address if empty.
    home: str = "https://huggingface.co"
    #: (path, range, whether the token came) of every request.
    seen: list[tuple[str, str, bool]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def requests_of(self, name: str) -> list[str]:
        """Return the ranges in which a file's bytes were asked for."""
        return [asked for path, asked, _ in self.seen if path == f"/bytes/{name}"]

    def names_sent(self) -> set[str]:
        return {path.removeprefix("/bytes/") for path, _, _ in self.seen if "/bytes/" in path}


@contextmanager
def running_hub(files: Mapping[str, bytes] | None = None, **options: Any) -> Iterator[ModelHub]:
    """Serve a model until the block ends."""
    hub = ModelHub(dict(tiny_model() if files is None else files), **options)

    class Handler(_Handler):
        model_hub = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model_hub: ModelHub

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        hub, parts = self.model_hub, urlsplit(self.path)
        path, query = unquote(parts.path), parse_qs(parts.query)
        cookie = f"m_session_id={hub.token}" in self.headers.get("Cookie", "")
        token = self.headers.get("Authorization") == f"Bearer {hub.token}" or cookie
        hub.seen.append((path, self.headers.get("Range", ""), bool(hub.token) and token))
        steps = path.strip("/").split("/")
        if path.startswith("/bytes/"):
            self._send_bytes(steps[-1])
        elif hub.token and not token:
            self._send(401, b"{}")
        elif steps[:3] == ["api", "v1", "models"]:
            self._answer_modelscope(steps, query)
        elif steps[:2] == ["api", "models"]:
            self._answer_list(lambda: self._hub_list(steps, query))
        elif "resolve" in steps:
            self._redirect(steps[-1])
        else:
            self._send(404, b"")

    def do_HEAD(self) -> None:
        """Tell of a file what huggingface_hub asks before it fetches it."""
        hub, name = self.model_hub, self.path.rpartition("/")[2]
        entry = _hub_entry(name, hub.files[name])
        self.send_response(302)
        self.send_header("Location", f"http://localhost:{hub.port}/bytes/{name}")
        self.send_header("X-Repo-Commit", hub.commit)
        self.send_header("X-Linked-Etag", f'"{entry.get("lfs", entry)["oid"]}"')
        self.send_header("X-Linked-Size", str(entry["size"]))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _answer_modelscope(self, steps: list[str], query: dict[str, list[str]]) -> None:
        if steps[-1] == "files":
            self._answer_list(self._modelscope_list)
        else:
            self._redirect(query["FilePath"][0])

    def _answer_list(self, make: Any) -> None:
        if self.model_hub.list_faults:
            status, headers = self.model_hub.list_faults.pop(0)
            self._send(status, b"<html>", headers)
        else:
            make()

    def _hub_list(self, steps: list[str], query: dict[str, list[str]]) -> None:
        hub = self.model_hub
        if steps[4] == "revision":
            known = steps[5] in ("main", hub.commit)
            body: dict[str, Any] = {"id": "/".join(steps[2:4]), "sha": hub.commit}
            body["siblings"] = [{"rfilename": name} for name in hub.files]
            fault = {"X-Error-Code": "RevisionNotFound"}
            self._send(200 if known else 404, _json(body), {} if known else fault)
            return
        # two pages, and a mirror names the second one at the address that the hub itself has
        names = sorted(hub.files)
        half = len(names) // 2
        second = "cursor" in query
        page = names[half:] if second else names[:half]
        following = f"{hub.home or hub.url}{urlsplit(self.path).path}?cursor=2"
        headers = {} if second else {"Link": f'<{following}>; rel="next"'}
        listed = [_hub_entry(name, hub.files[name]) for name in page]
        self._send(
            200, _json([{"type": "directory", "path": "onnx", "oid": "0" * 40}, *listed]), headers
        )

    def _modelscope_list(self) -> None:
        hub = self.model_hub
        listed = [
            {
                "Type": "blob",
                "Path": name,
                "Name": name,
                "Size": len(content),
                "Sha256": "" if name in hub.unchecked else hashlib.sha256(content).hexdigest(),
            }
            for name, content in hub.files.items()
        ]
        tree = {"Type": "tree", "Path": "onnx", "Name": "onnx", "Size": 0, "Sha256": ""}
        self._send(200, _json({"Code": 200, "Success": True, "Data": {"Files": [tree, *listed]}}))

    def _redirect(self, name: str) -> None:
        # another host, which gets no token
        place = f"http://localhost:{self.model_hub.port}/bytes/{name}"
        self._send(302, b"", {"Location": place})

    def _send_bytes(self, name: str) -> None:
        hub = self.model_hub
        if hub.file_faults:
            status, headers = hub.file_faults.pop(0)
            self._send(status, b"", headers)
            return
        content = hub.files[name]
        if hub.wrong.get(name, 0) > 0:
            hub.wrong[name] -= 1
            content = content[:-1] + b"?"
        begun = self._begin(content)
        cut = hub.cuts[name].pop(0) if hub.cuts[name] else None
        self._send_part(content, begun, cut)

    def _begin(self, content: bytes) -> int:
        """Send the head of the answer to a range or without one; return where it begins."""
        asked = self.headers.get("Range") if self.model_hub.ranges else None
        begun = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {begun}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - begun))
        self.end_headers()
        return begun

    def _send_part(self, content: bytes, begun: int, cut: int | None) -> None:
        end = len(content) if cut is None else min(len(content), begun + cut)
        with suppress(OSError):
            for at in range(begun, end, _PIECE):
                time.sleep(self.model_hub.piece_s)
                self.wfile.write(content[at : min(end, at + _PIECE)])
        if cut is not None:
            self.close_connection = True

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _json(content: object) -> bytes:
    return json.dumps(content).encode()


def _hub_entry(name: str, content: bytes) -> dict[str, Any]:
    git = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
    entry: dict[str, Any] = {"type": "file", "path": name, "size": len(content), "oid": git}
    if name.endswith((".safetensors", ".bin", ".gguf", ".onnx")):
        digest = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 134}
    return entry

"""The commands `webhooks …`: a receiver for development, deliveries, the signing secret."""

from __future__ import annotations

import argparse
import dataclasses
import http.server
import os
import sys
import threading
import time
from typing import Any

from sightline.cli.terminal import (
    UsageError,
    connect,
    print_error,
    print_json,
    print_note,
    print_table,
    wants_json,
)
from sightline.client import Client
from sightline.errors import WebhookError
from sightline.webhooks import WebhookEvent, verify_webhook

_MOST_BYTES = 1 << 20
_SHOWN_CHARS = 60


def listen(args: argparse.Namespace) -> int:
    """Print verified deliveries as they arrive; return 1 if one was refused.

    Raises UsageError if the signing secret is not known.
    """
    with connect(args) as client:
        secrets = _secrets(args, client)
        server = _Server(args, secrets)
        url = f"http://{args.host}:{server.server_address[1]}/"
        print_note(args, f"listening on {url}; submit with webhook={url}")
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
        thread.start()
        try:
            if args.test:
                sent = client.test_webhook(url)
                print_note(args, f"requested a test message, {sent['id']}")
            while not server.full.wait(0.2):
                pass
        finally:
            server.shutdown()
            server.server_close()
    return 1 if server.refused else 0


def _secrets(args: argparse.Namespace, client: Client) -> list[str]:
    secrets = args.secret or [os.environ.get("SIGHTLINE_WEBHOOK_SECRET", "")]
    known = [secret for secret in secrets if secret]
    if known:
        return known
    signing = client.webhook_secret(rotate=args.rotate)
    if signing["secret"] is None:
        raise UsageError(
            f"The signing secret {signing['hint']} was already shown and cannot be shown again.",
            "Set SIGHTLINE_WEBHOOK_SECRET to it, or replace it with --rotate "
            "(the old one stays valid for a day).",
        )
    print_note(args, f"signing secret, shown only once: {signing['secret']}")
    return [signing["secret"]]


class _Server(http.server.ThreadingHTTPServer):
    """Verifies each message and prints it."""

    daemon_threads = True

    def __init__(self, args: argparse.Namespace, secrets: list[str]) -> None:
        super().__init__((args.host, args.port), _Handler)
        self._args = args
        self._secrets = secrets
        self._message_ids: set[str] = set()
        self._lock = threading.Lock()
        #: Number of messages that failed verification.
        self.refused = 0
        #: Set when `--count` messages have arrived.
        self.full = threading.Event()

    def receive(self, body: bytes, headers: dict[str, str]) -> int:
        """Verify and print a message; return the HTTP status of the response."""
        try:
            event = verify_webhook(body, headers, self._secrets)
        except WebhookError as error:
            with self._lock:
                self.refused += 1
                print_error(f"{type(error).__name__}: {error}")
            return 400
        with self._lock:
            repeated = event.id in self._message_ids
            self._message_ids.add(event.id)
            self._print(event, repeated=repeated)
            if self._args.count and len(self._message_ids) >= self._args.count:
                self.full.set()
        return 204

    def _print(self, event: WebhookEvent, *, repeated: bool) -> None:
        print_json(self._args, dataclasses.asdict(event) | {"repeated": repeated})
        if wants_json(self._args):
            return
        output: Any = event.data.get("output") or {}
        text = " ".join(str(output.get("text", "")).split())[:_SHOWN_CHARS]
        mark = " (again)" if repeated else ""
        clock = time.strftime("%H:%M:%S")
        print(clock, event.type, event.data.get("id", ""), text + mark, flush=True)


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > _MOST_BYTES:
            self.send_error(413)
            return
        body = self.rfile.read(int(length))
        status = self.server.receive(body, dict(self.headers.items()))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Print nothing: `receive` prints each delivery."""


def send_test(args: argparse.Namespace) -> None:
    """Have a test message sent."""
    with connect(args) as client:
        _print_delivery(args, client.test_webhook(args.to))


def show_deliveries(args: argparse.Namespace) -> None:
    """Print the deliveries of a job with their attempts."""
    with connect(args) as client:
        for delivery in client.job(args.job).deliveries():
            _print_delivery(args, delivery)


def replay_deliveries(args: argparse.Namespace) -> None:
    """Send a delivery again, or all that failed since a time; raises UsageError."""
    if (args.delivery is None) == (args.since is None):
        raise UsageError("Specify either one delivery or a time with --since.")
    with connect(args) as client:
        if args.since is None:
            _print_delivery(args, client.replay(args.delivery))
            return
        count = client.replay_failed(args.since)
    print_json(args, {"replayed": count})
    if not wants_json(args):
        print(f"{count} resent")


def show_secret(args: argparse.Namespace) -> None:
    """Print the signing secret, which is shown only once; --rotate makes a new one."""
    with connect(args) as client:
        signing = client.webhook_secret(rotate=args.rotate)
    print_json(args, signing)
    if not wants_json(args):
        print(signing["secret"] or signing["hint"])
        if signing["secret"] is None:
            print("already shown; --rotate replaces it", file=sys.stderr)


def _print_delivery(args: argparse.Namespace, delivery: Any) -> None:
    print_json(args, delivery)
    if wants_json(args):
        return
    reason = f" ({delivery['reason']})" if delivery["reason"] else ""
    print(f"{delivery['id']} {delivery['type']} {delivery['status']}{reason} to {delivery['url']}")
    rows = [
        ("  " + row["at"], str(row["status"] or "–"), f"{row['ms']} ms", row["error"] or "")
        for row in delivery["attempts"]
    ]
    if rows:
        print_table([("  AT", "STATUS", "TOOK", "ERROR"), *rows])

"""Webhooks at the terminal: a receiver for development, and the service's ledger."""

from __future__ import annotations

import argparse
import dataclasses
import http.server
import os
import sys
import threading
import time
from typing import Any

from sightline.cli.terminal import UsageError, complain, connect, say, show, table, wants_json
from sightline.client import Client
from sightline.errors import WebhookError
from sightline.webhooks import WebhookEvent, verify_webhook

_MOST_BYTES = 1 << 20
_SHOWN_CHARS = 60


def listen(args: argparse.Namespace) -> int:
    """Print deliveries as they come; only what is verified counts."""
    with connect(args) as client:
        secrets = _secrets(args, client)
        server = _Server(args, secrets)
        url = f"http://{args.host}:{server.server_address[1]}/"
        say(args, f"listening on {url}; submit with webhook={url}")
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
        thread.start()
        try:
            if args.test:
                sent = client.test_webhook(url)
                say(args, f"requested a test message, {sent['id']}")
            while not server.full.wait(0.2):
                pass
        finally:
            server.shutdown()
            server.server_close()
    return 1 if server.refused else 0


def _secrets(args: argparse.Namespace, client: Client) -> list[str]:
    given = args.secret or [os.environ.get("SIGHTLINE_WEBHOOK_SECRET", "")]
    known = [secret for secret in given if secret]
    if known:
        return known
    told = client.webhook_secret(rotate=args.rotate)
    if told["secret"] is None:
        raise UsageError(
            f"The signing secret {told['hint']} was already shown and cannot be shown again.",
            "Set SIGHTLINE_WEBHOOK_SECRET to it, or replace it with --rotate "
            "(the old one stays valid for a day).",
        )
    say(args, f"signing secret, shown only once: {told['secret']}")
    return [told["secret"]]


class _Server(http.server.ThreadingHTTPServer):
    """Verifies what comes, and tells it."""

    daemon_threads = True

    def __init__(self, args: argparse.Namespace, secrets: list[str]) -> None:
        super().__init__((args.host, args.port), _Handler)
        self._args = args
        self._secrets = secrets
        self._seen: set[str] = set()
        self._lock = threading.Lock()
        #: Messages that were not to be trusted.
        self.refused = 0
        #: Set when as many have come as were asked for.
        self.full = threading.Event()

    def take(self, body: bytes, headers: dict[str, str]) -> int:
        """Return the status that a request is answered with."""
        try:
            event = verify_webhook(body, headers, self._secrets)
        except WebhookError as error:
            with self._lock:
                self.refused += 1
                complain(f"{type(error).__name__}: {error}")
            return 400
        with self._lock:
            again = event.id in self._seen
            self._seen.add(event.id)
            self._tell(event, again=again)
            if self._args.count and len(self._seen) >= self._args.count:
                self.full.set()
        return 204

    def _tell(self, event: WebhookEvent, *, again: bool) -> None:
        show(self._args, dataclasses.asdict(event) | {"repeated": again})
        if wants_json(self._args):
            return
        output: Any = event.data.get("output") or {}
        text = " ".join(str(output.get("text", "")).split())[:_SHOWN_CHARS]
        mark = " (again)" if again else ""
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
        status = self.server.take(body, dict(self.headers.items()))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing: deliveries are told by what they are."""


def test(args: argparse.Namespace) -> None:
    """Have a test message sent."""
    with connect(args) as client:
        _show_delivery(args, client.test_webhook(args.to))


def deliveries(args: argparse.Namespace) -> None:
    """Show what was sent of a job, attempt by attempt."""
    with connect(args) as client:
        for delivery in client.job(args.job).deliveries():
            _show_delivery(args, delivery)


def replay(args: argparse.Namespace) -> None:
    """Send a delivery again, or all that failed since a time."""
    if (args.delivery is None) == (args.since is None):
        raise UsageError("Specify either one delivery or a time with --since.")
    with connect(args) as client:
        if args.since is None:
            _show_delivery(args, client.replay(args.delivery))
            return
        count = client.replay_failed(args.since)
    show(args, {"replayed": count})
    if not wants_json(args):
        print(f"{count} resent")


def secret(args: argparse.Namespace) -> None:
    """Print the signing secret, once, or a new one."""
    with connect(args) as client:
        told = client.webhook_secret(rotate=args.rotate)
    show(args, told)
    if not wants_json(args):
        print(told["secret"] or told["hint"])
        if told["secret"] is None:
            print("already shown; --rotate replaces it", file=sys.stderr)


def _show_delivery(args: argparse.Namespace, delivery: Any) -> None:
    show(args, delivery)
    if wants_json(args):
        return
    reason = f" ({delivery['reason']})" if delivery["reason"] else ""
    print(f"{delivery['id']} {delivery['type']} {delivery['status']}{reason} to {delivery['url']}")
    rows = [
        ("  " + one["at"], str(one["status"] or "–"), f"{one['ms']} ms", one["error"] or "")
        for one in delivery["attempts"]
    ]
    if rows:
        table([("  AT", "STATUS", "TOOK", "ERROR"), *rows])

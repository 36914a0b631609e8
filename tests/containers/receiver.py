"""A receiver of webhooks and alerts in a container: prints each body, a line of JSON."""

from __future__ import annotations

import http.server
import json


class Receiver(http.server.BaseHTTPRequestHandler):
    """Accepts every POST."""

    def do_POST(self) -> None:
        """Print path and body, and answer 204."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        print(json.dumps({"path": self.path, "body": json.loads(body)}), flush=True)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing beside the bodies."""


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Receiver).serve_forever()

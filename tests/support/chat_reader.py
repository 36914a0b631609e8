"""A client that reads a streamed chat in a thread of its own."""

from __future__ import annotations

import json
import threading
from typing import Any

import httpx


class ChatReader(threading.Thread):
    """Reads a streamed chat to its end."""

    def __init__(self, http: httpx.Client, prompt: str = "tell me", **more: Any) -> None:
        """Ask at the URL of `http`; `more` are further members of the body."""
        super().__init__(daemon=True)
        self._url = http.base_url
        message = {"role": "user", "content": prompt}
        self._body = {"messages": [message], "stream": True, **more}
        self.job_id = ""
        self.text = ""
        self.reasoning = ""
        self.finish_reason: str | None = None
        self.error: dict[str, Any] = {}
        self.done = False

    def run(self) -> None:
        """Read to the end."""
        with (
            httpx.Client(base_url=self._url, timeout=60) as http,
            http.stream("POST", "/v1/chat/completions", json=self._body) as answer,
        ):
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    self._take(line.removeprefix("data: "))

    def _take(self, data: str) -> None:
        if data == "[DONE]":
            self.done = True
            return
        chunk = json.loads(data)
        self.error = chunk.get("error", {})
        if not self.error:
            self.job_id = chunk["id"]
            (choice,) = chunk["choices"]
            self.text += choice["delta"].get("content", "")
            self.reasoning += choice["delta"].get("reasoning_content", "")
            self.finish_reason = choice["finish_reason"]

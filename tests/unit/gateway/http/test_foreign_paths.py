"""A path of somebody else's API is answered with what serves instead."""

from __future__ import annotations

import pytest

from gateway.http.foreign_paths import find_what_serves


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/v1/completions", "/v1/chat/completions"),
        ("/v1/chat/completions/job_1/messages", "/v1/jobs/{id}"),
        ("/v1/embeddings", "/v1/chat/completions"),
        ("/v1/images/generations", "POST /v1/images"),
        ("/v1/audio/transcriptions", "/v1/chat/completions"),
        ("/v1/assistants", "/v1/chat/completions"),
        ("/v1/threads/t/runs", "/v1/chat/completions"),
        ("/v1/fine_tuning/jobs", "/v1/chat/completions"),
        ("/v1/messages", "OpenAI's form"),
        ("/chat/completions", "with /v1"),
        ("/v1/v1/chat/completions", "with /v1"),
        ("/models", "with /v1"),
        ("/api/chat", "Ollama"),
        ("/v1/uploads", "POST /v1/files"),
        ("/v1/conversations/c/forks", "POST /v1/responses"),
        ("/v1/responses/input_tokens", "/v1/estimate"),
        ("/v1/responses/compact", "truncation"),
        ("/v1/engines/davinci/completions", "/v1/chat/completions"),
        ("/v1/agents/sessions/s", "/v1/chat/completions"),
        ("/v1/agents/completions", "Text completions"),
        ("/v1/webhook_endpoints", "/v1/webhooks/endpoints"),
        ("/v1/live/sessions", "/v1/chat/completions"),
        ("/v1/nonsense", "/docs"),
        ("/" + "v1/" * 90, "/docs"),
    ],
)
def test_what_serves_is_named(path, named):
    assert named in find_what_serves(path)

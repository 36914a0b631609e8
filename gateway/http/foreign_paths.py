"""Paths of OpenAI's API and its relatives that are not served, and what serves instead."""

from __future__ import annotations

import re

_CHAT = "POST /v1/chat/completions answers questions about images"

#: Patterns of paths below `/v1`, the first that fits counts, and what serves instead of them.
_INSTEAD = (
    (r"completions", f"Text completions are not served. {_CHAT}; its messages may be text alone."),
    (r"chat/completions/.+", "Completions are kept as jobs: GET /v1/jobs/{id}, with the same id."),
    (
        r"responses/.*",
        "POST /v1/responses answers; GET and DELETE /v1/responses/{id} read and delete an answer.",
    ),
    (
        r"conversations(/.*)?",
        "POST /v1/conversations begins one; POST /v1/responses adds messages to it, or to any id.",
    ),
    (r"uploads(/.*)?", "POST /v1/files stores a file in one request."),
    (
        r"(assistants|threads|vector_stores|containers|evals|fine_tuning|skills)(/.*)?",
        f"Assistants and their tools are not served. {_CHAT}.",
    ),
    (
        r"(embeddings|moderations|rerank|score)(/.*)?",
        f"Only answers in words are served: {_CHAT}, `response_format` holds them to a schema.",
    ),
    (r"images/.+", f"Images are read, not made. {_CHAT}; POST /v1/images stores one."),
    (r"(audio|realtime|videos)(/.*)?", f"Only images and text are read. {_CHAT}."),
    (r"messages(/.*)?", f"Anthropic's API is not served. {_CHAT}, in OpenAI's form."),
    (r"(organization|projects|usage)(/.*)?", "GET /v1/limits has the limits and use of your key."),
)
_PATTERNS = [(re.compile(pattern), hint) for pattern, hint in _INSTEAD]
#: What clients ask for whose base URL is wrong.
_OTHER_BASE = re.compile(r"/(v1/v1|v1/api|api/v1|openai/v1|openai|api)?/?(chat/completions|models)")
_OLLAMA = re.compile(r"/api/(chat|generate|tags|show|ps|version)")


def find_what_serves(path: str) -> str:
    """Return in a sentence what serves instead of a path that does not exist."""
    if _OLLAMA.fullmatch(path):
        return f"Ollama's API is not served. {_CHAT}; set your client to OpenAI and /v1."
    if _OTHER_BASE.fullmatch(path):
        return "End the base URL of your client with /v1 and nothing else."
    below = path.removeprefix("/v1/")
    if below != path:
        for pattern, hint in _PATTERNS:
            if pattern.fullmatch(below):
                return hint
    return "See /docs for the paths."

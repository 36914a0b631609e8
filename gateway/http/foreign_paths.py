"""Paths of OpenAI's API and its relatives that are not served, and what serves instead."""

from __future__ import annotations

import re

_CHAT = "POST /v1/chat/completions answers questions about images"

#: Patterns of paths below `/v1`, the first that fits counts, and what serves instead of them.
_INSTEAD = (
    (
        r"(fim/|agents/|engines/.+/)?(completions|edits)",
        f"Text completions are not served. {_CHAT}; its messages may be text alone.",
    ),
    (
        r"chat/completions(/.+)?",
        (
            "POST /v1/chat/completions answers. Completions are kept as jobs: GET /v1/jobs lists "
            "them, GET /v1/jobs/{id} has one under the same id."
        ),
    ),
    (
        r"responses/input_tokens",
        "POST /v1/estimate tells tokens and time of a job; a response has its `usage`.",
    ),
    (
        r"responses/compact",
        (
            "Nothing has to be compacted: with `truncation` auto, POST /v1/responses leaves out "
            "the oldest part of a conversation that is too long."
        ),
    ),
    (
        r"responses(/.*)?",
        "POST /v1/responses answers; GET and DELETE /v1/responses/{id} read and delete an answer.",
    ),
    (
        r"conversations(/.*)?",
        (
            "POST /v1/conversations begins one; POST /v1/conversations/{id}/items adds messages, "
            "POST /v1/responses questions and answers."
        ),
    ),
    (r"models(/.*)?", "GET /v1/models lists what is loaded. A setting of the service chooses it."),
    (r"files(/.*)?", "POST /v1/files stores a file; GET and DELETE /v1/files/{id} are served."),
    (r"batches(/.*)?", "POST /v1/batches begins one, POST /v1/batches/{id}/cancel ends it early."),
    (
        r"webhook_(endpoints|event_types)(/.*)?",
        (
            "Each job names its `webhook`. GET /v1/webhooks/endpoints shows where to; POST "
            "/v1/webhooks/secret/rotate changes the secret."
        ),
    ),
    (r"uploads(/.*)?", "POST /v1/files stores a file in one request."),
    (
        (
            r"(assistants|threads|vector_stores|containers|skills|agents|vaults|chatkit|libraries)"
            r"(/.*)?"
        ),
        f"Assistants, agents and their tools are not served. {_CHAT}.",
    ),
    (
        r"(evals|fine_tuning|fine-tunes)(/.*)?",
        f"Models are used here, not trained or graded. {_CHAT}; POST /v1/batches many at once.",
    ),
    (
        (
            r"(embeddings|moderations|rerank|score|pooling|classify|classifications|decisions|safety)"
            r"(/.*)?"
        ),
        f"Only answers in words are served: {_CHAT}, `response_format` holds them to a schema.",
    ),
    (r"images/.+", f"Images are read, not made. {_CHAT}; POST /v1/images stores one."),
    (
        r"content_provenance_checks(/.*)?",
        f"Where an image comes from is not checked. {_CHAT}.",
    ),
    (r"(audio|realtime|live|videos)(/.*)?", f"Only images and text are read. {_CHAT}."),
    (r"messages(/.*)?", f"Anthropic's API is not served. {_CHAT}, in OpenAI's form."),
    (r"(organization|projects|usage)(/.*)?", "GET /v1/limits has the limits and use of your key."),
)
_PATTERNS = [(re.compile(pattern), hint) for pattern, hint in _INSTEAD]
#: What clients ask for whose base URL is wrong.
_OTHER_BASE = re.compile(r"/(v1/v1|v1/api|api/v1|openai/v1|openai|api)?/?(chat/completions|models)")
_OLLAMA = re.compile(
    r"/api/(chat|generate|tags|show|ps|version|pull|push|create|copy|delete|embed|embeddings)"
)


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

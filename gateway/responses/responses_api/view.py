"""A job as OpenAI's response object, and its input as items."""

from __future__ import annotations

from typing import Any

from gateway.responses.chats.completion import asked_members
from gateway.responses.views.job import why_no_answer
from shared.jobs import ConversationMessage, FinishReason, JobStatus
from shared.jobs.layout import lay_out
from shared.jobs.response_api import ResponseFields, response_id, response_status
from shared.jobs.row import JobRow

#: Our errors by OpenAI's names; all others are the server's.
_ERROR_CODES = {
    "image_gone": "image_file_not_found",
    "image_decode_failed": "image_parse_error",
    "input_too_long": "invalid_prompt",
    "input_too_large": "image_too_large",
    "bad_parameters": "invalid_prompt",
    "bad_constraint": "invalid_prompt",
}


def response_view(row: JobRow, *, status: str = "") -> dict[str, Any]:
    """Return a job as a response; with `status`, as it was then, without its answer."""
    asked = row.response or ResponseFields()
    params = row.input.params
    is_end = row.status.terminal and not status
    return {
        "id": response_id(row.id),
        "object": "response",
        "created_at": row.created_ms // 1000,
        "completed_at": row.completed_ms // 1000 if is_end and row.completed_ms else None,
        "status": status or _status(row),
        "background": asked.background,
        "error": _error(row) if is_end else None,
        "incomplete_details": _incomplete(row) if is_end else None,
        "instructions": asked.instructions,
        "max_output_tokens": asked.max_output_tokens,
        "metadata": row.metadata or {},
        "model": row.model or "sightline",
        "output": [*reasoning_items(row), output_item(row)] if is_end and row.output else [],
        "parallel_tool_calls": False,
        "previous_response_id": asked.previous_response_id,
        "conversation": {"id": asked.conversation} if asked.conversation else None,
        "store": asked.store,
        "temperature": params.temperature if params.do_sample else 0.0,
        "top_p": params.top_p if params.do_sample else 1.0,
        "text": {"format": asked.text_format},
        "tool_choice": "none",
        "tools": [],
        "truncation": asked.truncation,
        "usage": _usage(row) if is_end and row.usage else None,
        "warnings": list(row.notices),
        **(asked_members(row) if is_end else {}),
    }


def _status(row: JobRow) -> str:
    return response_status(row.status, (row.output or {}).get("finish_reason"))


def _error(row: JobRow) -> dict[str, Any] | None:
    if row.status not in (JobStatus.FAILED, JobStatus.EXPIRED):
        return None
    error = why_no_answer(row)
    code = _ERROR_CODES.get(error.code, "server_error")
    return {"code": code, "message": f"{error.detail} ({error.code})"}


def _incomplete(row: JobRow) -> dict[str, str] | None:
    if _status(row) != "incomplete":
        return None
    return {"reason": "max_output_tokens"}


def _usage(row: JobRow) -> dict[str, Any]:
    tokens = row.usage or {}
    read, written = tokens.get("prompt_tokens", 0), tokens.get("completion_tokens", 0)
    return {
        "input_tokens": read,
        "input_tokens_details": {
            "cached_tokens": tokens.get("cached_tokens", 0),
            "cache_write_tokens": 0,
            "image_tokens": tokens.get("image_tokens", 0),
        },
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": tokens.get("reasoning_tokens", 0)},
        "total_tokens": read + written,
    }


def output_id(row: JobRow) -> str:
    """Return the id of the message of a response's output."""
    return "msg_" + row.id.removeprefix("job_")


def text_part(text: str) -> dict[str, Any]:
    """Return the one part of the answer."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def reasoning_items(row: JobRow) -> list[dict[str, Any]]:
    """Return what the model has thought as an item; none where it has not."""
    return [reasoning_item(row, row.reasoning)] if row.reasoning else []


def reasoning_item(row: JobRow, thought: str) -> dict[str, Any]:
    """Return a job's thinking as an item of its response's output."""
    return {
        "type": "reasoning",
        "id": "rs_" + row.id.removeprefix("job_"),
        "status": "completed",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": thought}] if thought else [],
    }


def output_item(row: JobRow) -> dict[str, Any]:
    """Return the answer of a job that has one, perhaps a part of it."""
    output = row.output or {}
    is_whole = (
        row.status is JobStatus.SUCCEEDED and output.get("finish_reason") == FinishReason.STOP
    )
    return {
        "type": "message",
        "id": output_id(row),
        "status": "completed" if is_whole else "incomplete",
        "role": "assistant",
        "content": [text_part(output["text"])],
    }


def input_items(row: JobRow) -> list[dict[str, Any]]:
    """Return the messages of the request itself, oldest first, as far as they were kept."""
    job, asked = row.input, row.response or ResponseFields()
    before = job.before[1 if asked.instructions is not None else 0 :]
    own = before[max(0, len(before) - asked.own_messages + 1) :] if asked.own_messages > 1 else ()
    last = ConversationMessage(
        role="user", text=job.prompt, images=job.images, image_places=job.image_places
    )
    items = [_input_item(row, at, message) for at, message in enumerate((*own, last))]
    if job.document:
        document = {"file_id": job.document.id, "filename": job.document.name}
        items[-1]["content"].insert(0, {"type": "input_file", **document})
    return items


def _input_item(row: JobRow, at: int, message: ConversationMessage) -> dict[str, Any]:
    return {
        "type": "message",
        "id": f"{output_id(row)}_{at}",
        "status": "completed",
        "role": message.role,
        "content": message_parts(message),
    }


def message_parts(message: ConversationMessage) -> list[dict[str, Any]]:
    """Return texts and images of a message in their order."""
    if message.role == "assistant":
        return [text_part(message.text)]
    return [
        {"type": "input_text", "text": text} if image is None else _image_part(image)
        for image, text in lay_out(message.text, message.images, message.image_places)
    ]


def _image_part(image_id: str) -> dict[str, Any]:
    return {"type": "input_image", "file_id": image_id, "image_url": None, "detail": "auto"}

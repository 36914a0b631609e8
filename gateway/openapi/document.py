"""The OpenAPI document: what routes declare, completed by request bodies and streams."""

from __future__ import annotations

from typing import Any

from flask_openapi3 import OpenAPI
from pydantic import BaseModel

from gateway.http.mistral_errors import MistralError
from gateway.http.problems import Problem
from gateway.openapi.queries import describe_refusals
from gateway.openapi.security import describe_keys
from gateway.responses.following.event_stream import EVENT_TYPES
from gateway.results.forms import ResultForm
from gateway.schemas.jobs.groups import GroupRequest
from gateway.schemas.jobs.reviews import ReviewRequest
from gateway.schemas.openai.batches import BatchRequest, FileForm
from gateway.schemas.openai.conversations import ConversationChange, ConversationRequest
from gateway.schemas.uploads.images import ImageUpload
from gateway.schemas.webhooks import ReplaySince, WebhookTest
from gateway.submission.chats.request import ChatRequest
from gateway.submission.fields.submission import Submission
from gateway.submission.planning.estimate import EstimateRequest
from gateway.submission.reading_apis.mistral import OcrRequest
from gateway.submission.responses_api.request import ResponseRequest

_REF = "#/components/schemas/"
#: Models that no route declares, by the names that the document gives them.
_MODELS: dict[str, type[BaseModel]] = {
    "Problem": Problem,
    "MistralError": MistralError,
    "Submission": Submission,
    "Supposition": EstimateRequest,
    "ImageUpload": ImageUpload,
    "ChatRequest": ChatRequest,
    "ResponseRequest": ResponseRequest,
    "ConversationRequest": ConversationRequest,
    "ConversationChange": ConversationChange,
    "GroupRequest": GroupRequest,
    "OcrRequest": OcrRequest,
    "BatchRequest": BatchRequest,
    "FileFields": FileForm,
    "WebhookTest": WebhookTest,
    "ReplaySince": ReplaySince,
    "ReviewRequest": ReviewRequest,
}
_FILE = {"type": "string", "format": "binary"}


def complete(app: OpenAPI) -> None:
    """Add what routes cannot declare to the document of an app; call it once, at the end."""
    spec: dict[str, Any] = app.api_doc
    schemas = spec["components"]["schemas"]
    # flask-openapi3 adds its own schema of a validation error, which is never sent
    schemas.pop("ValidationErrorModel", None)
    schemas.pop("UnprocessableEntity", None)
    for name, model in _MODELS.items():
        _add(schemas, name, model.model_json_schema(ref_template=_REF + "{model}"))
    schemas["SubmissionForm"] = _form(schemas["Submission"])
    for path in ("/v1/jobs", "/predict"):
        spec["paths"][path]["post"]["requestBody"] = _body("Submission", "SubmissionForm")
    schemas["SuppositionForm"] = _form(schemas["Supposition"])
    spec["paths"]["/v1/estimate"]["post"]["requestBody"] = _body("Supposition", "SuppositionForm")
    checksums = {name: schemas["ImageUpload"]["properties"][name] for name in ("sha256", "bytes")}
    schemas["ImageForm"] = _object({"image": _FILE})
    schemas["ImageForm"]["properties"] |= checksums
    spec["paths"]["/v1/images"]["post"]["requestBody"] = _body("ImageUpload", "ImageForm")
    for path, name in (("webhooks/test", "WebhookTest"), ("deliveries/replay", "ReplaySince")):
        spec["paths"][f"/v1/{path}"]["post"]["requestBody"] = _json_body(name)
    for path, name in (
        ("batches", "BatchRequest"),
        ("jobs/{job_id}/review", "ReviewRequest"),
        ("ocr", "OcrRequest"),
        ("conversations", "ConversationRequest"),
        ("conversations/{conversation_id}", "ConversationChange"),
    ):
        spec["paths"][f"/v1/{path}"]["post"]["requestBody"] = _json_body(name)
    spec["paths"]["/v1/groups/{group_id}"]["put"]["requestBody"] = _json_body("GroupRequest")
    file_body = {"application/octet-stream": {"schema": _FILE}}
    spec["paths"]["/process"]["put"]["requestBody"] = {"required": True, "content": file_body}
    schemas["FileForm"] = schemas.pop("FileFields")
    schemas["FileForm"]["properties"] |= {"file": _FILE}
    schemas["FileForm"]["required"] = ["file", "purpose"]
    spec["paths"]["/v1/files"]["post"]["requestBody"] = _form_body("FileForm")
    for path, name in (("chat/completions", "ChatRequest"), ("responses", "ResponseRequest")):
        operation = spec["paths"][f"/v1/{path}"]["post"]
        operation["requestBody"] = _json_body(name)
        operation["responses"]["200"]["content"] |= {"text/event-stream": {"schema": {}}}
    read = spec["paths"]["/v1/responses/{response_id}"]["get"]
    read["responses"]["200"]["content"] |= {"text/event-stream": {"schema": {}}}
    _describe_streams(spec["paths"])
    for path in spec["paths"].values():
        for operation in path.values():
            _drop_foreign_422(operation)
    describe_refusals(spec["paths"])
    describe_keys(spec["paths"])


def _add(schemas: dict[str, Any], name: str, schema: dict[str, Any]) -> None:
    schemas.update(schema.pop("$defs", {}))
    schemas[name] = schema | {"title": name}


def _form(body: dict[str, Any]) -> dict[str, Any]:
    properties = body["properties"] | {"image": {"type": "array", "items": _FILE}}
    return body | {"title": body["title"] + "Form", "properties": properties}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": sorted(properties)}


def _body(json_schema: str, form_schema: str) -> dict[str, Any]:
    return {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": _REF + json_schema}},
            "multipart/form-data": {"schema": {"$ref": _REF + form_schema}},
        },
    }


def _json_body(schema: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": _REF + schema}}}
    return {"required": True, "content": content}


def _form_body(schema: str) -> dict[str, Any]:
    content = {"multipart/form-data": {"schema": {"$ref": _REF + schema}}}
    return {"required": True, "content": content}


def _describe_streams(paths: dict[str, Any]) -> None:
    paths["/v1/jobs/{job_id}/events"]["get"]["responses"]["200"] = {
        "description": "Events: " + ", ".join(EVENT_TYPES) + ".",
        "content": {"text/event-stream": {"schema": {}}},
    }
    paths["/v1/files/{file_id}/content"]["get"]["responses"]["200"] = {
        "description": "The content.",
        "content": {"application/octet-stream": {"schema": _FILE}},
    }
    paths["/files/{link_id}"]["get"]["responses"]["200"] = {
        "description": "The content.",
        "content": {"application/octet-stream": {"schema": _FILE}},
    }
    paths["/v1/images/{image_id}/content"]["get"]["responses"]["200"] = {
        "description": "The pixels.",
        "content": {"image/png": {"schema": _FILE}},
    }
    paths["/v1/jobs/{job_id}/overlay.svg"]["get"]["responses"]["200"] = {
        "description": "The picture with its boxes.",
        "content": {"image/svg+xml": {"schema": {"type": "string"}}},
    }
    paths["/v1/jobs/{job_id}/result"]["get"]["responses"]["200"] = {
        "description": "The answer in the form that format or Accept asks for.",
        "content": {form.media_type: {"schema": _form_schema(form)} for form in ResultForm},
    }


def _form_schema(form: ResultForm) -> dict[str, Any]:
    if form is ResultForm.JSON:
        return {"$ref": _REF + "OutputState"}
    return (
        _FILE if form in (ResultForm.XLSX, ResultForm.DOCX, ResultForm.PDF) else {"type": "string"}
    )


def _drop_foreign_422(operation: dict[str, Any]) -> None:
    """Remove the 422 that the library adds to routes which can have none."""
    answer = operation.get("responses", {}).get("422")
    if (
        answer
        and "application/json" in answer.get("content", {})
        and "`" not in answer.get("description", "")
    ):
        del operation["responses"]["422"]

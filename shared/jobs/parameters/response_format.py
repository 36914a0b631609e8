"""The `response_format` of a request, as in OpenAI's API."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from shared.excerpt import is_longer

#: Characters of a schema that is not looked at; the constraint's own bound is lower.
_HUGE_CHARS = 262_144


def _refuse_huge(schema: dict[str, Any]) -> dict[str, Any]:
    if is_longer(schema, _HUGE_CHARS):
        raise ValueError(f"the schema has more than {_HUGE_CHARS} characters")
    return schema


class JsonSchema(BaseModel):
    """A schema as in OpenAI's API; answers always conform to it, whatever `strict` says."""

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)

    name: str | None = Field(None, max_length=64)
    description: str | None = Field(None, max_length=1000)
    schema_: Annotated[dict[str, Any], AfterValidator(_refuse_huge)] = Field(
        alias="schema", description="The JSON schema itself."
    )
    strict: bool | None = None


class ResponseFormat(BaseModel):
    """The format of the answer, as in OpenAI's API."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None

    @model_validator(mode="after")
    def _schema_where_it_belongs(self) -> Self:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError("json_schema must be set if, and only if, type is json_schema")
        return self


#: Any JSON object.
ANY_OBJECT = ResponseFormat(type="json_object")

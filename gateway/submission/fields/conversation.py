"""What a job is counted and remembered with: its conversation and its group."""

from __future__ import annotations

from pydantic import (
    BaseModel,
    Field,
    ValidationInfo,
    field_validator,
)

from gateway.schemas.jobs.groups import GROUP_PATTERN
from gateway.schemas.sessions import SESSION_PATTERN
from shared.errors import BadParameters


class ConversationFields(BaseModel):
    """The conversation and the group of a submission."""

    session_id: str | None = Field(
        None, pattern=SESSION_PATTERN, description="Groups the jobs of a conversation."
    )
    group: str | None = Field(
        None, pattern=GROUP_PATTERN, description="Counts jobs together; see /v1/groups."
    )

    @field_validator("session_id", "group")
    @classmethod
    def _name_can_stand_in_a_url(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value in (".", ".."):
            raise BadParameters(
                f"{info.field_name}: {value!r} cannot be read or forgotten later.",
                pointer=f"/{info.field_name}",
                hint="Clients take it for a folder of a URL; add a letter or digit.",
            )
        return value

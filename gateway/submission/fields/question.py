"""What is asked, with which preset and of which model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
)

from gateway.submission.fields.values import MAX_NAME_CHARS, as_list
from shared.jobs.answers.find import MAX_LABEL_CHARS, MAX_LABELS, MAX_PHRASE_CHARS
from shared.jobs.parameters.route import MAX_MODEL_CHARS


def _trim_label(label: str) -> str:
    """Return a label with single blanks; raises ValueError for one without anything to see."""
    trimmed = " ".join(label.split())
    if not any(char.isprintable() and not char.isspace() for char in trimmed):
        raise ValueError("must have a letter, a digit or a sign")
    return trimmed


class QuestionFields(BaseModel):
    """The question of a submission."""

    prompt: str | None = Field(
        None,
        min_length=1,
        description="The question about the images; some presets have their own.",
    )
    preset: str | None = Field(
        None,
        max_length=MAX_NAME_CHARS,
        description="A name from `/v1/presets`; explicit parameters override the preset's.",
    )
    model: str | None = Field(
        None,
        max_length=MAX_MODEL_CHARS,
        description="A name from `/v1/models`, or one of the operator's other names for it; with "
        "`@` and a revision only that one. Default: the operator's, or the only one.",
    )
    wait_for_model: bool = Field(
        False,
        description="Accept the job although nobody serves its model now; it waits until a worker "
        "for it comes, or expires.",
    )
    lang: Literal["en", "zh"] | None = Field(
        None, description="Language of the preset's prompt; default: that of your prompt, or en."
    )
    fields: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=64)]], BeforeValidator(as_list)
    ] = Field(
        default_factory=list,
        max_length=32,
        description="Names that the preset `fields` reads, such as `total` or `日期`.",
    )
    labels: Annotated[
        list[Annotated[str, Field(max_length=MAX_LABEL_CHARS), AfterValidator(_trim_label)]],
        BeforeValidator(as_list),
    ] = Field(
        default_factory=list,
        max_length=MAX_LABELS,
        description="What the preset `find` looks for: words that stand in the text, or names of "
        "things, such as `Total` or `signature`.",
    )
    phrase: (
        Annotated[str, Field(max_length=MAX_PHRASE_CHARS), AfterValidator(_trim_label)] | None
    ) = Field(
        None,
        description="One phrase that the preset `find` looks for, in place of `labels`; it may be "
        "broken across lines.",
    )
    fuzzy: bool = Field(
        False,
        description="Whether `find` also takes text that is only much like what is looked for: "
        "its `confidence` says how much. Without it letters are the same but for case, accents, "
        "full-width forms and blanks.",
    )

    @property
    def names_prompt(self) -> bool:
        """Tell whether the request has a prompt of its own."""
        return self.prompt is not None and "prompt" in self.model_fields_set

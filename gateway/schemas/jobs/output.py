"""The shapes of answers and their parts as the OpenAPI document shows them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from shared.jobs import FinishReason, PageSource, Reader
from shared.jobs.answers.evidence import EvidenceStatus
from shared.jobs.answers.find import ObjectSource


class TileState(BaseModel):
    """A part of a long image."""

    image: int = Field(0, description="Index of the job's image that the tile belongs to, from 0.")
    box: list[int] = Field(description="Left, top, right, bottom in pixels of the stored image.")
    text: str | None = Field(
        description="The tile's text or own answer; null if all tiles shared one prompt."
    )
    gap: bool = Field(False, description="The tile could not be read.")
    evidence: bool = Field(False, description="The answer is based on this tile.")
    confidence: float | None = None


class PageState(BaseModel):
    """A page of a document."""

    page: int = Field(description="Its number in the document, from 1.")
    text: str | None = Field(
        description="The page's text, or what it says to the question; null in a gap, and if all "
        "pages shared one prompt."
    )
    source: PageSource = Field(
        PageSource.MODEL,
        description="`text_layer`: the page's own text; `model`: it was read; `blank`: it shows "
        "nothing.",
    )
    confidence: float | None = None
    gap: bool = Field(False, description="The page could not be read.")
    evidence: bool = Field(False, description="The answer is based on this page.")
    warnings: list[dict[str, str]] = Field(default_factory=list)
    tiles: int = Field(0, description="Tiles in which it was read; 0 if no model saw it.")
    header: str | None = Field(None, description="Its lines at the top that other pages have too.")
    footer: str | None = Field(
        None, description="Its lines at the bottom that other pages have too."
    )


class ImageText(BaseModel):
    """The text of one of several images."""

    image: int = Field(description="Index of the job's image, from 0.")
    text: str
    gap: bool = Field(description="A part of it could not be read.")


class PlacedPart(BaseModel):
    """A word of a line, or a cell of a table's row."""

    text: str
    box: list[float] | None = Field(
        description="Left, top, right, bottom, as of its line; null where it is not sure."
    )


class Line(BaseModel):
    """A line of the original text; with `boxes` only those that have letters or digits."""

    text: str
    confidence: float | None = Field(description="As in Output; null if unknown.")
    agreement: float | None = Field(
        None,
        description="Where the model and the second reader have both read: share of the letters "
        "that they agree on, 0 to 1.",
    )
    other: str | None = Field(None, description="What the second reader has read instead.")
    box: list[float] | None = Field(
        None,
        description="With `boxes`: left, top, right, bottom in pixels of the stored image, in "
        "points of a PDF's page, or in pixels of another document's page; right and bottom "
        "excluded. Null where it is not sure where the line stands.",
    )
    polygon: list[list[float]] | None = Field(
        None,
        description="With `boxes`: top left, top right, bottom right and bottom left of a slanted "
        "box, as the text runs.",
    )
    image: int | None = Field(None, description="Index of the job's image, from 0.")
    page: int | None = Field(None, description="Number of the document's page, from 1.")
    words: list[PlacedPart] | None = Field(None, description="With `boxes=word`.")
    cells: list[PlacedPart] | None = Field(
        None, description="Of a row of a Markdown or HTML table, or of a whole one in one line."
    )


class EvidenceState(BaseModel):
    """Whether a value of an answer is printed, and where."""

    status: EvidenceStatus = Field(
        description="`supported`: it stands there. `unverified`: it may stand there, or several "
        "places are as likely, or it cannot be told. `not_found`: it is printed nowhere."
    )
    text: str | None = Field(description="What is printed there.")
    box: list[float] | None = Field(
        description="Left, top, right, bottom, in the unit of `boxes`; null without a place."
    )
    image: int | None = Field(None, description="Index of the job's image, from 0.")
    page: int | None = Field(None, description="Number of the document's page, from 1.")
    confidence: float | None = Field(
        description="How well it was seen and how much it is like the value, 0 to 1."
    )


class ObjectState(BaseModel):
    """One place where something that was looked for was seen."""

    label: str = Field(description="As in the request.")
    box: list[float] = Field(description="Left, top, right, bottom, in the unit of `boxes`.")
    polygon: list[list[float]] | None = Field(
        None,
        description="Of a slanted box: top left, top right, bottom right and bottom left, as the "
        "text runs.",
    )
    parts: list[list[list[float]]] | None = Field(
        None, description="Of a phrase that is broken across lines: the slanted box in each line."
    )
    text: str | None = Field(None, description="What is printed there, where it is text.")
    image: int | None = Field(None, description="Index of the job's image, from 0.")
    page: int | None = Field(None, description="Number of the document's page, from 1.")
    confidence: float | None = Field(
        description="How well the text was seen and how much it is like the label, 0 to 1; of the "
        "model's boxes that of its whole answer. Null if unknown."
    )
    source: ObjectSource = Field(
        description="`reader`: it stands in the text; `model`: the model has pointed at it."
    )


class OutputState(BaseModel):
    """The answer."""

    text: str = Field(
        description="The answer after the `postprocess` rules. Streamed deltas and the turns "
        "of a session have the model's original text."
    )
    reasoning: str | None = Field(
        None, description="What the model has thought before it answered, where it did."
    )
    json_: Any = Field(
        None,
        alias="json",
        description="The parsed answer for a JSON `response_format`, if it is complete.",
    )
    fields: dict[str, list[str]] = Field(
        description="Values extracted by the `postprocess` rules, in order of appearance and "
        "without duplicates; [] if a rule found none."
    )
    finish_reason: FinishReason = Field(
        description="`length`: cut off by `max_new_tokens`, so that a constrained answer may be "
        "unfinished (see `warnings`). `loop`: it kept repeating itself after a second try."
    )
    partial: bool
    shortened: bool = Field(
        False,
        description="In a list, of more than 64 KiB: the text is its beginning, and fields, json "
        "and all parts are left out. The job by itself has all of it.",
    )
    confidence: float | None = Field(
        None,
        description="Geometric mean of the probabilities of the answer's tokens, relative to the "
        "tokens that were allowed; null without a model. The second reader's is the mean of its "
        "letters' probabilities.",
    )
    lines: list[Line] | None = Field(
        None,
        description="With `line_confidence`, `reader=both` or `boxes`: the lines of the original "
        "text.",
    )
    tiles: list[TileState] | None = Field(
        None, description="The parts of a long image, in reading order."
    )
    pages: list[PageState] | None = Field(
        None, description="The pages of a document, in the order in which they were asked for."
    )
    images: list[ImageText] | None = Field(
        None, description="The text of each image, where several images were read."
    )
    reader: Reader | None = Field(
        None,
        description="What has read the images; null where there were none, or where every page "
        "brought its own text.",
    )
    evidence: dict[str, EvidenceState] | None = Field(
        None,
        description="With `evidence`: by JSON pointer, of each value of `json` that is not null.",
    )
    objects: list[ObjectState] | None = Field(
        None,
        description="Of a preset that looks for things, such as `find`: each place; [] where "
        "nothing was found. The text sums it up.",
    )
    review: list[str] | None = Field(
        None,
        description="With `review`: JSON pointers into this output of what a person should look "
        "at, such as `/lines/3` or `/json/items/0/price`.",
    )

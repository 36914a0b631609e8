"""What an engine may lack, by the names that `/v1/models` has for it."""

from __future__ import annotations

from enum import StrEnum


class Ability(StrEnum):
    """Something that not every engine can do; what a worker's heartbeat does not list, it can."""

    #: `choices`, `regex` and `response_format`.
    CONSTRAINTS = "constraints"
    #: A `reference` makes answers faster; without the ability it changes nothing at all.
    DRAFTS = "drafts"
    #: To point at things that are looked for.
    POINTING = "pointing"
    #: To keep what is computed of an image for the next question about it.
    IMAGE_FEATURES = "image_features"
    #: To keep what is computed of a conversation for its next question.
    PREFIX_CACHE = "prefix_cache"

"""How large the model sees images, and whether it sees them in tiles."""

from __future__ import annotations

from typing import Literal

from pydantic import (
    BaseModel,
    Field,
)

from shared.jobs import (
    DETAIL_PIXELS,
)


class SizeFields(BaseModel):
    """The sizes in which images are seen."""

    detail: str = Field("auto", pattern="^(auto|low|high)$", description="Pixel budget by name.")
    max_pixels: int | None = Field(
        None, ge=4096, le=4_194_304, description="Pixel budget of each image; overrides detail."
    )
    tiling: Literal["auto", "off", "read", "ask"] = Field(
        "auto",
        description="Whether a long image is cut into tiles: `read` joins their texts, `ask` gives "
        "one answer from all; `auto` decides by preset and shape, unless a budget is set.",
    )

    def pixel_budget(self) -> int:
        """Return the pixels that each image may have for the model."""
        return self.max_pixels or DETAIL_PIXELS[self.detail]

    @property
    def names_budget(self) -> bool:
        """Tell whether the request names a pixel budget itself."""
        return self.max_pixels is not None or self.detail != "auto"

"""Turns a canonical image into the patches that the vision tower reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from shared.errors import ImageAspect
from shared.prediction.visual_tokens import VisualSize, visual_tokens
from worker.engine.api import ImageInput


@dataclass(frozen=True, slots=True)
class ImageReader:
    """The image processor of a checkpoint, without torchvision."""

    #: transformers' image processor with its PIL backend.
    processor: Any
    #: Pixels of a side that one visual token covers.
    factor: int

    @property
    def pixels(self) -> tuple[int, int]:
        """Least and most pixels of an image, whatever its budget."""
        limits = self.processor.size
        return int(limits["shortest_edge"]), int(limits["longest_edge"])

    def size(self, source: ImageInput) -> VisualSize:
        """Return the size in pixels and visual tokens that an image is scaled to.

        Raises ImageAspect for an image that is too long for its width.
        """
        least, most = self.pixels
        try:
            return visual_tokens(
                *source.image.size,
                min(source.max_pixels, most),
                min_pixels=least,
                factor=self.factor,
            )
        except ValueError as error:
            raise ImageAspect(str(error)) from error

    def patches(self, source: ImageInput) -> torch.Tensor:
        """Return float32 (patches, patch_values) of the scaled image, in merge-block order."""
        least, most = self.pixels
        size = {"shortest_edge": least, "longest_edge": min(source.max_pixels, most)}
        out = self.processor(images=[source.image], size=size, return_tensors="pt")
        pixels: torch.Tensor = out["pixel_values"]
        return pixels

"""The memory that requests need while they run, and the budget of it; knows no tensor."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from shared.prediction.image_memory import ImageRoom
from shared.settings import Settings
from worker.engine.config import ModelShape

#: Share of the memory left beside the model that requests do not get.
_SPARE = 0.1
#: Bytes where the system does not tell how many there are.
_UNKNOWN = 1 << 62


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """The memory that one request may take."""

    #: Keys and values of its prompt and its answer.
    kv_bytes: int = 0
    #: Patches and features of its images.
    image_bytes: int = 0
    #: Activations of the tower on the largest image.
    tower_bytes: int = 0


@dataclass(frozen=True, slots=True)
class TokenCosts:
    """Bytes that one token of a model takes."""

    #: Keys and values of any token.
    kv: int
    #: Patches and features of a visual token.
    image: int
    #: Activations of a visual token in the tower, while its image is encoded.
    tower: int

    @classmethod
    def of(cls, shape: ModelShape, width: int) -> TokenCosts:
        """Return the costs of a model that computes with numbers of `width` bytes."""
        text, vision = shape.text, shape.vision
        patches = vision.merge**2
        features = (1 + len(vision.deepstack)) * vision.out_hidden * width
        activations = width * (7 * vision.hidden + 2 * vision.intermediate)
        # scores, levels and scales pass through float32
        activations += 4 * (vision.hidden + vision.intermediate)
        return cls(
            kv=2 * text.layers * text.kv_heads * text.head_dim * width,
            image=features + patches * vision.patch_values * 4,
            tower=features + patches * activations,
        )

    def need_of(self, tokens: int, images: Collection[int]) -> MemoryNeed:
        """Return the need of so many tokens, and of images of so many visual tokens each."""
        return MemoryNeed(
            kv_bytes=tokens * self.kv,
            image_bytes=sum(images) * self.image,
            tower_bytes=max(images, default=0) * self.tower,
        )


@dataclass(frozen=True, slots=True)
class MemoryBudget:
    """The memory of all requests that run together."""

    #: For keys and values.
    kv_bytes: int
    #: For everything else; the tower works on one image at a time.
    work_bytes: int = _UNKNOWN

    @classmethod
    def of(cls, settings: Settings, available: int | None) -> MemoryBudget:
        """Divide the bytes that are available once the model is loaded; None if unknown."""
        if available is None:
            return cls(settings.kv_max_bytes, settings.work_max_bytes or _UNKNOWN)
        left = max(0, int(available * (1 - _SPARE)) - settings.features_ram_bytes)
        kv_bytes = min(settings.kv_max_bytes, left // 2)
        # with nothing left the first request is refused with the reason
        return cls(kv_bytes, max(1, min(settings.work_max_bytes or _UNKNOWN, left - kv_bytes)))

    def for_images(self, costs: TokenCosts) -> ImageRoom:
        """Return the memory for the images of one request alone, as the gateway counts it."""
        return ImageRoom(self.work_bytes, costs.image, costs.tower)

    def holds(self, needs: Collection[MemoryNeed]) -> bool:
        """Tell whether requests with these needs fit together."""
        kv_bytes = sum(need.kv_bytes for need in needs)
        images = sum(need.image_bytes for need in needs)
        tower = max((need.tower_bytes for need in needs), default=0)
        return kv_bytes <= self.kv_bytes and images + tower <= self.work_bytes

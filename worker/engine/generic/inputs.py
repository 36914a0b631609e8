"""A model's inputs: the tensors of one conversation, and what they say of its images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image

from shared.errors import BadParameters
from worker.engine.api import ImageInput, UsedImage


@dataclass(frozen=True, slots=True)
class ModelInputs:
    """One conversation as a model's `forward` takes it."""

    #: `input_ids` (1, n), whatever else is (1, n), and the images' own.
    tensors: dict[str, torch.Tensor]
    #: Visual tokens of all images.
    image_tokens: int
    images: tuple[UsedImage, ...] = ()
    #: The assistant begins within its thinking.
    opened: bool = False

    @property
    def ids(self) -> list[int]:
        """Return the tokens of the prompt."""
        ids: list[int] = self.tensors["input_ids"][0].tolist()
        return ids

    def extended(self, tokens: Sequence[int]) -> dict[str, torch.Tensor]:
        """Return the tensors with the first tokens of the answer behind the prompt."""
        if not tokens:
            return self.tensors
        added = torch.tensor([tokens], dtype=torch.int64)
        length = self.tensors["input_ids"].shape[1]
        longer = dict(self.tensors)
        for name, tensor in self.tensors.items():
            if tensor.shape == (1, length):
                more = added if name == "input_ids" else tensor[:, -1:].expand_as(added)
                longer[name] = torch.cat([tensor, more.to(tensor.dtype)], 1)
        return longer


def within_budget(source: ImageInput) -> Image.Image:
    """Return an image with no more pixels than its budget, keeping its aspect."""
    width, height = source.image.size
    scale = math.sqrt(source.max_pixels / (width * height))
    if scale >= 1:
        return source.image
    size = max(1, math.floor(width * scale)), max(1, math.floor(height * scale))
    return source.image.resize(size, Image.Resampling.BICUBIC)


def put_back(
    tensors: dict[str, torch.Tensor], mark: int, spelled: Sequence[Sequence[int]]
) -> dict[str, torch.Tensor]:
    """Return the tensors with the tokens of one text in place of each mark.

    Raises BadParameters where there are not as many marks as texts.
    """
    ids = tensors["input_ids"]
    places = (ids[0] == mark).nonzero()[:, 0].tolist()
    if len(places) != len(spelled):
        raise BadParameters("The model's chat template repeats or drops a special token's text.")
    if not places:
        return tensors
    counts = torch.ones(ids.shape[1], dtype=torch.int64)
    counts[places] = torch.tensor([len(tokens) for tokens in spelled])
    widened = {
        name: tensor.repeat_interleave(counts, 1) if tensor.shape == ids.shape else tensor
        for name, tensor in tensors.items()
    }
    letters = torch.tensor([id_ for tokens in spelled for id_ in tokens], dtype=torch.int64)
    widened["input_ids"][widened["input_ids"] == mark] = letters
    return widened


def share_tokens(tokens: int, images: Sequence[Image.Image]) -> list[int]:
    """Divide visual tokens among images by their pixels, which is exact for a single one."""
    pixels = [image.width * image.height for image in images]
    shares, left, of = [], tokens, sum(pixels)
    for count in pixels:
        share = round(left * count / of)
        shares.append(share)
        left, of = left - share, of - count
    return shares

"""Draws batches ahead of the training, in processes of their own."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING, Any

from torch.utils.data import DataLoader, Dataset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Place = tuple[int, int]
    Draw = Callable[[int, int], Any]

#: Batches that each process draws ahead.
AHEAD = 4


class BatchDataset(Dataset):
    """The batches of `draw`, by step and number."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw

    def __getitem__(self, place: Place) -> Any:
        """Draw the batch at a place (step, number)."""
        return self.draw(*place)


def keep_batch(batch: Any) -> Any:
    """Return a batch unchanged."""
    return batch


def load_batches(draw: Draw, places: Iterable[Place], drawers: int, *, pin: bool) -> Iterator[Any]:
    """Yield the batches of `places` in their order, drawn by so many processes, or by this one.

    Pinned batches are copied to a GPU while it works.
    """
    if drawers:
        # each tensor that is passed between processes needs an open file
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return iter(
        DataLoader(
            BatchDataset(draw),
            batch_size=None,
            sampler=places,
            num_workers=drawers,
            collate_fn=keep_batch,
            pin_memory=pin,
            prefetch_factor=AHEAD if drawers else None,
        )
    )

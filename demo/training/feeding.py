"""Batches drawn ahead of the training by processes of their own."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING, Any

from torch.utils.data import DataLoader, Dataset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Place = tuple[int, int]
    Draw = Callable[[int, int], Any]

#: Batches that each process keeps ready.
AHEAD = 4


class Drawn(Dataset):
    """What `draw` makes of a step and the number of a batch."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw

    def __getitem__(self, place: Place) -> Any:
        """Draw the batch at a place (step, number)."""
        return self.draw(*place)


def itself(batch: Any) -> Any:
    """Leave a batch as it was drawn."""
    return batch


def feed(draw: Draw, places: Iterable[Place], drawers: int, *, pin: bool) -> Iterator[Any]:
    """Yield the batches of `places` in their order, drawn by so many processes, or by this one.

    Pinned ones are copied to a GPU while it works.
    """
    if drawers:
        # each tensor on its way between processes holds a file open
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return iter(
        DataLoader(
            Drawn(draw),
            batch_size=None,
            sampler=places,
            num_workers=drawers,
            collate_fn=itself,
            pin_memory=pin,
            prefetch_factor=AHEAD if drawers else None,
        )
    )

"""The optimizer of a training run: Muon for the matrices of the blocks, AdamW for all else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from demo.training.network import is_block_matrix

if TYPE_CHECKING:
    from torch import nn

Groups = list[dict[str, Any]]


def find_matrices(model: nn.Module) -> set[int]:
    """Find the matrices (by identity) inside the blocks of the tower and of the language model.

    Only these: orthogonalising the mergers' wide layers would cost as much as their gradients.
    """
    return {id(value) for name, value in model.named_parameters() if is_block_matrix(name, value)}


class Optimizer:
    """Two optimizers as one; each group of parameters names the learning rate it reaches.

    At equal steps and rates Muon reached a lower loss of the tower than AdamW and allowed twice the
    rate, for an eighth more time (Jordan et al. 2024; rates as AdamW's by Liu et al. 2025).
    """

    def __init__(self, groups: Groups, chosen: set[int]) -> None:
        inside = [_part(group, chosen, inside=True) for group in groups]
        outside = [_part(group, chosen, inside=False) for group in groups]
        self.parts: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(
                [group for group in outside if group["params"]],
                betas=(0.9, 0.98),
                weight_decay=0.01,
                fused=True,
            ),
            torch.optim.Muon(
                [group for group in inside if group["params"]],
                weight_decay=0.01,
                adjust_lr_fn="match_rms_adamw",
            ),
        ]

    def step(self, share: float) -> None:
        """Take one step at a share of the peak rates and clear the gradients."""
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = group["peak"] * share
            part.step()
            part.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict[str, Any]]:
        """Return the state of both."""
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Load the state of both."""
        for part, state in zip(self.parts, states, strict=True):
            part.load_state_dict(state)


def _part(group: dict[str, Any], chosen: set[int], *, inside: bool) -> dict[str, Any]:
    params = [value for value in group["params"] if (id(value) in chosen) == inside]
    return {**group, "params": params}

"""The feed-forward half of a decoder layer: one for all tokens, or experts that a router chooses.

Shapes: M rows of a batch, each `hidden` wide.
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F  # noqa: N812

from worker.engine.checkpoint.weights import TensorSource
from worker.engine.config import ExpertShape, TextShape
from worker.engine.ops.base import Linear, Ops

#: Names below `mlp` of what the experts of a layer share, and of one expert's own weights.
FUSED_GATE_UP, FUSED_DOWN = "experts.gate_up_proj", "experts.down_proj"
EXPERT_PARTS = ("gate_proj", "up_proj", "down_proj")


class FeedForward(Protocol):
    """Returns (M, hidden) states: those of `residual` and what the rows of `x` add to them."""

    def __call__(self, x: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        """Compute (M, hidden) from the normalised rows and the states that they were made of."""


class DenseForward:
    """SwiGLU with the same weights for every token."""

    def __init__(self, gate_up: torch.Tensor, down: torch.Tensor, ops: Ops) -> None:
        """Prepare (2 * inner, hidden) weights, gates first, and (hidden, inner) ones."""
        self._gate_up = ops.linear(gate_up, activation="swiglu")
        self._down = ops.linear(down)

    def __call__(self, x: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        """See FeedForward."""
        return self._down(self._gate_up(x), residual=residual)


class ExpertForward:
    """SwiGLU by the few experts that a router finds best for a token, weighted by its trust."""

    def __init__(
        self, router: torch.Tensor, experts: list[tuple[Linear, Linear]], per_token: int
    ) -> None:
        """`router` is (experts, hidden); of each expert there are both linear layers."""
        # in float32 whatever the numerics: a rounded score may choose another expert
        self._router = router.float()
        self._experts = experts
        self._per_token = per_token

    def __call__(self, x: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        """See FeedForward; the rows of one expert are multiplied together."""
        trust, chosen = self._route(x)
        added = torch.zeros(x.shape)
        order = chosen.flatten().argsort(stable=True)
        counts = chosen.flatten().bincount(minlength=len(self._experts)).tolist()
        for expert, places in enumerate(torch.split(order, counts)):
            if len(places):
                rows = places // self._per_token
                gate_up, down = self._experts[expert]
                answers = down(gate_up(x[rows])).float()
                added.index_add_(0, rows, answers * trust.flatten()[places, None])
        return residual + added.to(residual.dtype)

    def _route(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the (M, per_token) trust in the chosen experts, 1 in all, and their numbers."""
        chances = F.linear(x.float(), self._router).softmax(-1)
        trust, chosen = chances.topk(self._per_token, -1)
        return trust / trust.sum(-1, keepdim=True), chosen


def load_feed_forward(
    shape: TextShape, weights: TensorSource, ops: Ops, prefix: str, at: int
) -> FeedForward:
    """Return what layer `at` needs, whose tensors' names begin with `prefix`."""
    experts = shape.experts
    if experts is None or at not in experts.layers:
        gate_up = [weights.get(f"{prefix}.{name}.weight") for name in EXPERT_PARTS[:2]]
        return DenseForward(
            torch.cat(gate_up), weights.get(f"{prefix}.{EXPERT_PARTS[2]}.weight"), ops
        )
    reader = _FusedExperts if f"{prefix}.{FUSED_GATE_UP}" in weights else _SingleExperts
    each = reader(experts, weights, prefix)
    pairs = (each.get(expert) for expert in range(experts.count))
    linears = [
        (ops.linear(gate_up, activation="swiglu"), ops.linear(down)) for gate_up, down in pairs
    ]
    return ExpertForward(weights.get(f"{prefix}.gate.weight"), linears, experts.per_token)


class _FusedExperts:
    """Reads one tensor for all experts, whose last two sizes come in either order."""

    def __init__(self, shape: ExpertShape, weights: TensorSource, prefix: str) -> None:
        self._gate_up = weights.get(f"{prefix}.{FUSED_GATE_UP}")
        self._down = weights.get(f"{prefix}.{FUSED_DOWN}")
        # the checkpoints of the makers have inputs first, those that transformers saves outputs
        self._turn_gate_up = self._gate_up.shape[1] != 2 * shape.intermediate
        self._turn_down = self._down.shape[2] != shape.intermediate

    def get(self, expert: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (2 * inner, hidden) gates and ups, and (hidden, inner)."""
        gate_up, down = self._gate_up[expert], self._down[expert]
        return (
            gate_up.T.contiguous() if self._turn_gate_up else gate_up,
            down.T.contiguous() if self._turn_down else down,
        )


class _SingleExperts:
    """Reads tensors for each expert, as quantised checkpoints have them."""

    def __init__(self, _shape: ExpertShape, weights: TensorSource, prefix: str) -> None:
        self._weights, self._prefix = weights, prefix

    def get(self, expert: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (2 * inner, hidden) gates and ups, and (hidden, inner)."""
        names = (f"{self._prefix}.experts.{expert}.{part}.weight" for part in EXPERT_PARTS)
        gate, up, down = map(self._weights.get, names)
        return torch.cat((gate, up)), down

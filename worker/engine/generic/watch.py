"""Watches a model at work: from layer to layer it may be interrupted, and says how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

#: Called before each layer with its part, and its number within the part's layers.
Pulse = Callable[["Part", int], None]


class Part:
    """The tower, or the language model: its layers are counted as they are run."""

    def __init__(self, name: str, layers: int) -> None:
        """`layers` are all of it."""
        self.name = name
        self.layers = layers


class ModelWatch:
    """Hooks before all layers of a model; `pulse` may raise, which ends the pass."""

    def __init__(self, model: nn.Module) -> None:
        """Set the hooks; nothing is called until `pulse` is set."""
        self.pulse: Pulse | None = None
        language = _language_model(model)
        inner = set(language.modules()) if language is not None else set()
        layers = list(_layers(model))
        self.tower = Part("tower", sum(layer not in inner for layer in layers))
        self.language = Part("language", sum(layer in inner for layer in layers))
        counts = {self.tower: 0, self.language: 0}
        for layer in layers:
            part = self.language if layer in inner else self.tower
            self._hook(layer, part, counts[part])
            counts[part] += 1

    def _hook(self, layer: nn.Module, part: Part, number: int) -> None:
        def run(_module: nn.Module, _inputs: Any) -> None:
            if self.pulse is not None:
                self.pulse(part, number)

        layer.register_forward_pre_hook(run)


def _language_model(model: Any) -> nn.Module | None:
    """Return the part that reads and writes text; None where the model does not tell."""
    try:
        part = model.get_decoder()
    except (AttributeError, NotImplementedError):
        return None
    return part if isinstance(part, nn.Module) and part is not model else None


def _layers(module: nn.Module) -> list[nn.Module]:
    """Return the layers of all stacks within a module, but not stacks within layers."""
    stacked: list[nn.Module] = []
    for child in module.children():
        stacked += list(child) if isinstance(child, nn.ModuleList) else _layers(child)
    return stacked

"""Engines and references over small models, shared by all tests of a session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from shared.settings import BUNDLED_MODEL, Settings

if TYPE_CHECKING:
    from tests.model.checkpoints import Reference
    from worker.engine.engine import TorchEngine


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model of 0.5 M parameters."""
    from tests.model.checkpoints import write_tiny_model

    return write_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def bundled() -> Path:
    """The model that the project carries."""
    return Path(BUNDLED_MODEL)


@pytest.fixture(params=["tiny", "bundled"])
def model(request: pytest.FixtureRequest) -> Path:
    """Each of both: what is exact must be so with any weights."""
    folder: Path = request.getfixturevalue(request.param)
    return folder


@pytest.fixture
def engine_of() -> Iterator[Callable[..., TorchEngine]]:
    """A function that loads a new engine, closed after the test."""
    from worker.engine.engine import load_engine

    engines = []

    def load(folder: Path, numerics: str = "fp32", **settings: Any) -> TorchEngine:
        wanted = Settings(model=str(folder), numerics=numerics, threads=1, **settings)
        engines.append(load_engine(wanted))
        return engines[-1]

    yield load
    for engine in engines:
        engine.close()


@pytest.fixture(scope="session")
def reference_of() -> Callable[..., Reference]:
    """A function that loads transformers' model, once each."""
    from tests.model.checkpoints import Reference

    return cache(Reference)

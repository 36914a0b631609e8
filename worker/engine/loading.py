"""Loads the engine that the settings name and warms it up; with api.py the border of this room."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from shared.jobs import GenerationParams
from shared.long_steps import long_step
from shared.settings import SIMULATED_MODEL, Settings
from worker.engine.api import ByteStore, Engine, EngineRequest, Failed, ImageInput, Message
from worker.engine.kernels.compiling import begin_compiling


def load_engine(settings: Settings, open_store: Callable[[], ByteStore | None]) -> Engine:
    """Return the engine, ready for work; `open_store` opens where workers share image features.

    Raises ModelNotLoadable in one line, or the ServiceError of a model that cannot answer.
    """
    if settings.model == SIMULATED_MODEL:
        from worker.engine.simulated import SimulatedEngine

        return SimulatedEngine(
            settings.simulated_image_s,
            settings.simulated_token_s,
            speculation=settings.speculation,
            name=settings.model_name,
        )
    engine = _load_generic(settings) if settings.generic else _load_own(settings, open_store)
    # the first caller does not wait for one-time set-up, and its job is predicted
    with long_step("warming up"):
        _warm_up(engine, side=64, tokens=2)
        engine.forget_rates()
        _warm_up(engine, side=512, tokens=8)
    return engine


def _load_own(settings: Settings, open_store: Callable[[], ByteStore | None]) -> Engine:
    if settings.native_kernels and settings.numerics != "fp32":
        begin_compiling(settings.instructions)
    # torch is imported only where a model is really loaded
    with long_step("loading torch"):
        from worker.engine.engine import load_engine as load_own
        from worker.engine.memory.feature_cache import FeatureCache

    cache = FeatureCache(settings.features_ram_bytes, open_store())
    return load_own(settings, feature_cache=cache)


def _load_generic(settings: Settings) -> Engine:
    with long_step("loading torch and transformers"):
        from worker.engine.generic.engine import load_generic_engine

    return load_generic_engine(settings)


def _warm_up(engine: Engine, *, side: int, tokens: int) -> None:
    """Answer one question; raises the ServiceError of an engine that cannot answer."""
    image = ImageInput(f"img_warm_up_{side}", Image.new("RGB", (side, side), "grey"), side * side)
    ticket = engine.submit(
        EngineRequest(
            id="warm_up",
            messages=(Message("user", "What is it?", (image,)),),
            params=GenerationParams(max_new_tokens=tokens),
        )
    )
    for event in ticket.events():
        if isinstance(event, Failed):
            raise event.error

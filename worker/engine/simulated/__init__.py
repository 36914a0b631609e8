"""An engine without weights behind the same protocol, for tests and trials."""

from worker.engine.simulated.engine import SimulatedEngine

__all__ = ["SimulatedEngine"]

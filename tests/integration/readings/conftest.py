"""A service that reads at once, and one that takes longer than some clients wait."""

from __future__ import annotations

from tests.integration.documents.conftest import documents

__all__ = ["documents"]

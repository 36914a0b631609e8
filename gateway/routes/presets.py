"""The presets and rules that a submission may name."""

from __future__ import annotations

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from gateway.responses.views.preset import preset_view
from gateway.schemas.presets import PresetList
from gateway.services import current_services

presets = APIBlueprint("presets", __name__, abp_tags=[Tag(name="service")])


@presets.get("/v1/presets", summary="List presets and rules", responses={200: PresetList})
def list_presets() -> dict[str, Any]:
    """Return every preset and every rule of this service."""
    services = current_services()
    return {
        "object": "list",
        "data": [preset_view(preset) for preset in services.presets.values()],
        "rules": [rule.model_dump() for rule in services.rules.rules],
    }

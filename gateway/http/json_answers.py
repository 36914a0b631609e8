"""How answers become JSON: in the order of their members, as UTF-8, large ones in parts."""

from __future__ import annotations

from typing import Any

from flask.json.provider import DefaultJSONProvider

from shared.slow_json import dump_slowly


class JsonAnswers(DefaultJSONProvider):
    """Flask's provider, which others need not wait for."""

    sort_keys = False
    ensure_ascii = False

    def dumps(self, obj: Any, **options: Any) -> str:
        """Return a value as JSON."""
        options = {"default": self.default, "ensure_ascii": self.ensure_ascii, **options}
        return dump_slowly(obj, **options)

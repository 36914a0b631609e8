"""Who is asking: every request belongs to one tenant, and sees nothing of another's."""

from __future__ import annotations

from shared.settings import Settings

#: Everybody, as long as the gateway serves this machine only.
ANONYMOUS = "anonymous"


class UnsafeBinding(Exception):
    """The gateway would serve other machines without asking who they are."""


def check_binding(settings: Settings) -> None:
    """Refuse an address that others can reach, unless it was asked for twice."""
    if not settings.loopback and not settings.allow_anonymous:
        raise UnsafeBinding(
            f"SIGHTLINE_HOST={settings.host} lets other machines in without a key; "
            "set SIGHTLINE_ALLOW_ANONYMOUS=1 as well if that is what you want."
        )


def tenant() -> str:
    """Return the tenant of this request."""
    return ANONYMOUS

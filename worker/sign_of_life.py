"""The file whose age tells a health check whether this process still gets through to Redis."""

from __future__ import annotations

import logging

from shared.settings import Settings

_log = logging.getLogger(__name__)


def touch_sign_of_life(settings: Settings) -> None:
    """Touch the file `sign_of_life`, if there is one.

    A folder that cannot be written is logged: its health check fails, but jobs go on.
    """
    if settings.sign_of_life is None:
        return
    try:
        settings.sign_of_life.touch()
    except OSError as error:
        _log.warning("sign_of_life.failed", extra={"cause": str(error)})

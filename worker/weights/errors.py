"""Why a model's weights cannot be had, each in one line that says what to try."""

from __future__ import annotations

#: What helps wherever a hub cannot be reached.
OTHER_PLACES = (
    "try a mirror (HF_ENDPOINT=https://...), ModelScope (modelscope:OWNER/NAME), or a folder that"
    " holds the model"
)


class WeightsError(ValueError):
    """A model's weights cannot be had; the message is one line for the operator."""

    #: Names the reason in the log and in the worker's state.
    kind = "weights"


class NoNetwork(WeightsError):
    """The server cannot be reached: no route, no such host, no connection, a failed handshake."""

    kind = "no_network"


class ServerDown(WeightsError):
    """The server can be reached and does not serve: errors of its own, stalls, cuts."""

    kind = "server_down"


class AccessDenied(WeightsError):
    """The server wants a token, other rights, or that its terms are accepted."""

    kind = "access_denied"


class NotThere(WeightsError):
    """There is no such model, revision or file."""

    kind = "not_there"


class NotReadable(WeightsError):
    """The model is there, and in no form that is read."""

    kind = "not_readable"


class DiskFull(WeightsError):
    """The folder for weights has no room for them."""

    kind = "disk_full"


class WrongChecksum(WeightsError):
    """The bytes that came are not those that the server's own list promises."""

    kind = "wrong_checksum"


class Unfinished(WeightsError):
    """Files are missing, and none may be fetched or written."""

    kind = "unfinished"

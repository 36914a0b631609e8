"""Trying out the form of an answer before its job is accepted, beside the event loop."""

from __future__ import annotations

from functools import cache

from gevent import Timeout
from gevent.threadpool import ThreadPool

from shared.constraints.grammar import check_satisfiable
from shared.errors import BadConstraint
from shared.jobs import GenerationParams

#: Seconds that one trial may take; the bounds of shared.constraints.grammar end it long before.
_TRIAL_S = 3.0
#: Trials at once in a gateway process.
_THREADS = 2


def check_constraint(params: GenerationParams) -> None:
    """Raise BadConstraint when no answer can be held to what is asked for."""
    asked = params.constrained_by
    if not asked:
        return
    try:
        with Timeout(_TRIAL_S):
            _pool().apply(check_satisfiable, (params,))
    except Timeout:
        raise BadConstraint(
            f"{asked[0]}: it takes more than {_TRIAL_S:g} s to compile.", pointer=f"/{asked[0]}"
        ) from None


@cache
def _pool() -> ThreadPool:
    return ThreadPool(_THREADS)

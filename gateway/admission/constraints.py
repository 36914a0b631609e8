"""Compiles the constraint of an answer before its job is accepted, in threads of its own."""

from __future__ import annotations

from functools import cached_property

from gevent import Timeout
from gevent.threadpool import ThreadPool

from shared.constraints.grammar import check_satisfiable
from shared.errors import BadConstraint
from shared.jobs import GenerationParams

#: Seconds that one check may take; the bounds of shared.constraints.grammar end it long before.
_TIMEOUT_S = 3.0
#: Checks at once in a gateway process.
_THREADS = 2


class ConstraintChecker:
    """Checks constraints while other requests go on; one of it serves all of a process."""

    @cached_property
    def _pool(self) -> ThreadPool:
        # made with the first check: a pool belongs to the event loop that it is made in
        return ThreadPool(_THREADS)

    def check(self, params: GenerationParams) -> None:
        """Raise BadConstraint when no answer can meet the constraint of `params`."""
        constraints = params.constrained_by
        if not constraints:
            return
        try:
            with Timeout(_TIMEOUT_S):
                refusal = self._pool.apply(_refusal_of, (params,))
        except Timeout:
            raise BadConstraint(
                f"{constraints[0]}: compiling it took more than {_TIMEOUT_S:g} s.",
                pointer=f"/{constraints[0]}",
            ) from None
        if refusal is not None:
            raise refusal


def _refusal_of(params: GenerationParams) -> BadConstraint | None:
    # what is raised in the thread would be written to the log with its traceback
    try:
        check_satisfiable(params)
    except BadConstraint as error:
        return error
    return None

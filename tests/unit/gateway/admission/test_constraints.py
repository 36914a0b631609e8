"""A constraint that no answer can meet is refused, and that is all that happens."""

from __future__ import annotations

import pytest

from gateway.admission.constraints import ConstraintChecker
from shared.errors import BadConstraint
from shared.jobs import GenerationParams


def test_a_refused_constraint_writes_nothing_to_the_log(capfd):
    checker = ConstraintChecker()
    for _ in range(3):
        with pytest.raises(BadConstraint) as refusal:
            checker.check(GenerationParams(regex="(?=a)b"))
        assert refusal.value.pointer == "/regex"
    checker.check(GenerationParams(regex="[0-9]+"))
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""

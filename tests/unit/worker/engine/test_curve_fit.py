"""Curves of seconds over size are found again in noisy measurements."""

from __future__ import annotations

import random

import pytest

from shared.prediction.curves import Curve
from worker.curve_fit import CurveFit


def _fitted(true: Curve, sizes: list[int], *, noise: float = 0.0, terms: int = 3) -> Curve:
    chance = random.Random(4)
    fit = CurveFit(terms=terms)
    for _ in range(100):
        size = chance.choice(sizes)
        fit.add(size, true.at(size) * (1 + chance.uniform(-noise, noise)))
    return fit.curve()


@pytest.mark.parametrize(
    "true",
    [
        Curve(fixed=0.02),
        Curve(each=0.003),
        Curve(fixed=0.1, each=0.001),
        Curve(each=0.004, square=6e-6),
        Curve(fixed=0.01, each=0.002, square=1e-6),
    ],
)
def test_a_curve_is_found_again_through_noise(true):
    fitted = _fitted(true, [64, 256, 700, 1024], noise=0.1)
    for size in (100, 500, 1000):
        assert fitted.at(size) == pytest.approx(true.at(size), rel=0.1)


def test_one_size_alone_is_taken_as_proportional():
    fitted = _fitted(Curve(fixed=1.0), [100])
    assert fitted.at(200) == pytest.approx(2.0)


def test_nothing_measured_is_unknown():
    assert not CurveFit().curve()


def test_work_of_no_size_has_a_fixed_cost_alone():
    fitted = _fitted(Curve(fixed=0.5), [0])
    assert fitted == Curve(fixed=pytest.approx(0.5))


def test_more_never_costs_less():
    fit = CurveFit()
    for size, seconds in ((100, 3.0), (200, 2.0), (400, 1.0)):
        fit.add(size, seconds)
    curve = fit.curve()
    assert curve.at(50) <= curve.at(500)


def test_a_change_of_pace_is_learned():
    fit = CurveFit(keep=0.9)
    for seconds in [1.0] * 50 + [3.0] * 50:
        fit.add(100, seconds)
    assert fit.curve().at(100) == pytest.approx(3.0, rel=0.05)


def test_what_is_slow_now_and_then_costs_its_average():
    chance = random.Random(4)
    fit = CurveFit(keep=0.995)
    for _ in range(1000):
        fit.add(100, 4.0 if chance.random() < 0.25 else 1.0)
        fit.curve()
    assert fit.curve().at(100) == pytest.approx(1.75, rel=0.15)

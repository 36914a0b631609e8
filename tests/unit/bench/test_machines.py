"""Predicted speeds of other machines agree with those measured."""

from __future__ import annotations

from bench.service.machines import INT8, OTHERS, Machine, image_seconds, predict_rate, table

DOUBLING = 1.9


def test_the_measured_machine_does_what_was_measured():
    assert abs(predict_rate(INT8, INT8, INT8.machine, DOUBLING) - INT8.images_per_minute) < 1e-9


def test_what_was_measured_apart_is_predicted_within_a_tenth():
    for other in OTHERS:
        rate = predict_rate(other, INT8, other.machine, DOUBLING)
        assert abs(rate / other.images_per_minute - 1) < 0.1, other.name


def test_memory_bounds_what_more_cores_are_worth():
    slow, fast = Machine("slow", 64, 33), Machine("fast", 64, 330)
    assert image_seconds(INT8, slow, DOUBLING) > 1.5 * image_seconds(INT8, fast, DOUBLING)
    assert image_seconds(INT8, slow, DOUBLING) > 32 * INT8.weights_gb / 33 / 4


def test_a_price_is_rate_for_each_machine():
    lines = table(INT8, [INT8.machine], DOUBLING, 0.04).splitlines()
    hours = 2 * 1000 / INT8.images_per_minute / 60
    assert f"{hours * 0.04:.3f}" in lines[-1]

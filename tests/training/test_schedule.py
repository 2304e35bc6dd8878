"""Learning rate and moving average at a step, against their formulas."""

import math

import pytest

from mfscale.study import Hyperparameters
from mfscale.training.schedule import ema_decay, learning_rate

COSINE = Hyperparameters(
    learning_rate=0.02, warmup_steps=10, max_steps=110, final_learning_rate_fraction=0.1
)


def test_the_rate_rises_linearly_from_above_zero_to_its_peak() -> None:
    """(k + 1)/11 of the peak at step k < 10, and the whole at step 10."""
    rates = [learning_rate(step, COSINE) for step in range(11)]
    assert rates == pytest.approx([0.02 * k / 11 for k in range(1, 12)])


def test_the_rate_falls_as_a_cosine() -> None:
    """From 1 to 0.1 of the peak over steps 10 to 110: 0.55 half-way."""
    assert learning_rate(60, COSINE) == pytest.approx(0.02 * 0.55)
    quarter = 0.1 + 0.9 * (1 + math.sqrt(0.5)) / 2
    assert learning_rate(35, COSINE) == pytest.approx(0.02 * quarter)
    assert learning_rate(110, COSINE) == pytest.approx(0.002)
    assert learning_rate(500, COSINE) == pytest.approx(0.002)


def test_a_constant_rate_stays() -> None:
    constant = COSINE.model_copy(update={"schedule": "constant"})
    assert {learning_rate(step, constant) for step in (10, 60, 110, 500)} == {0.02}
    assert learning_rate(0, constant) == pytest.approx(0.02 / 11)


def test_a_run_shorter_than_its_warm_up_only_rises() -> None:
    short = COSINE.model_copy(update={"max_steps": 5})
    rates = [learning_rate(step, short) for step in range(5)]
    assert rates == sorted(rates)
    assert rates[-1] < 0.02


def test_the_moving_average_warms_up() -> None:
    """(1 + t)/(10 + t) reaches 0.9 at t = 80."""
    settings = Hyperparameters(ema_decay=0.9)
    assert ema_decay(0, settings) == pytest.approx(0.1)
    assert ema_decay(79, settings) == pytest.approx(80 / 89)
    assert ema_decay(80, settings) == pytest.approx(0.9)
    assert ema_decay(10_000, settings) == 0.9
    assert ema_decay(10_000, Hyperparameters(ema_decay=0.0)) == 0.0

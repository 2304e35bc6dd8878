"""York's line: the certified answer, an independent minimiser, and coverage where x is noisy."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize

from mfscale.scaling import FitError, york, york_lines

# Pearson's data with York's weights.
X = np.array([0, 0.9, 1.8, 2.6, 3.3, 4.4, 5.2, 6.1, 6.5, 7.4])
Y = np.array([5.9, 5.4, 4.4, 4.6, 3.5, 3.7, 2.8, 2.8, 2.4, 1.5])
X_SD = np.array([1000, 1000, 500, 800, 200, 80, 60, 20, 1.8, 1]) ** -0.5
Y_SD = np.array([1, 1.8, 4, 8, 20, 20, 70, 70, 100, 500]) ** -0.5


def test_pearson_york() -> None:
    line = york(X, Y, x_sd=X_SD, y_sd=Y_SD)
    assert_allclose(line.intercept, 5.479910224, atol=5e-10)
    assert_allclose(line.slope, -0.480533407, atol=5e-10)
    assert_allclose(line.intercept_se, 0.29497, atol=5e-6)
    assert_allclose(line.slope_se, 0.057985, atol=5e-7)
    assert_allclose(line.chi_squared, 11.8663532, rtol=1e-7)
    assert line.degrees_of_freedom == 8
    assert "not scaled by χ²" in str(line)


@pytest.mark.parametrize("correlation", [-0.6, 0.0, 0.8])
def test_the_line_is_the_most_likely_one(correlation: float) -> None:
    """Minimise over intercept, slope and every pair's true x, from the definition of the normal."""

    def misfit(theta: np.ndarray) -> float:
        a, b, *true = theta
        u, v = (X - true) / X_SD, (Y - a - b * np.array(true)) / Y_SD
        return float(np.sum(u**2 + v**2 - 2 * correlation * u * v) / (1 - correlation**2))

    line = york(X, Y, x_sd=X_SD, y_sd=Y_SD, correlation=correlation)
    best = minimize(misfit, [line.intercept + 0.1, line.slope - 0.05, *X], method="BFGS",
                    options={"gtol": 1e-9, "maxiter": 5000})  # fmt: skip
    assert_allclose(line.chi_squared, best.fun, rtol=1e-6)
    assert_allclose([line.intercept, line.slope], best.x[:2], rtol=1e-4)


def test_an_exact_x_gives_weighted_least_squares() -> None:
    line = york(X, Y, x_sd=1e-9, y_sd=Y_SD)
    expected, covariance = np.polyfit(X, Y, 1, w=1 / Y_SD, cov="unscaled")
    assert_allclose([line.slope, line.intercept], expected, rtol=1e-9)
    assert_allclose(line.slope_se, covariance[0, 0] ** 0.5, rtol=1e-9)
    assert_allclose(line.reliability, 1)


def test_axes_may_be_exchanged() -> None:
    one = york(X, Y, x_sd=X_SD, y_sd=Y_SD, correlation=0.3)
    other = york(Y, X, x_sd=Y_SD, y_sd=X_SD, correlation=0.3)
    assert_allclose(other.slope, 1 / one.slope, rtol=1e-9)
    assert_allclose(other.chi_squared, one.chi_squared, rtol=1e-9)


def test_reliability_and_attenuation() -> None:
    """Noise as strong as the spread of x halves the slope of least squares."""
    rng = np.random.default_rng(0)
    true = rng.normal(0, 1, 4000)
    line = york(
        true + rng.normal(0, 1, 4000),
        2 * true + rng.normal(0, 0.5, 4000),
        x_sd=1.0,
        y_sd=0.5,
    )
    assert_allclose(line.reliability, 0.5, atol=0.03)
    assert_allclose(line.ols_slope, 1.0, atol=0.06)
    assert_allclose(line.slope, 2.0, atol=0.1)
    assert line.low < 2 < line.high


def test_scatter_beyond_the_errors_is_said_and_widens_the_interval() -> None:
    rng = np.random.default_rng(0)
    x = np.linspace(0, 1, 20)
    y = x + rng.normal(0, 0.3, 20)
    line = york(x, y, x_sd=0.01, y_sd=0.05)
    assert [w.code for w in line.warnings] == ["excess-scatter"]
    assert (line.high - line.low) / 2 > 4 * 1.96 * line.slope_se


def replicated(rng: np.random.Generator, settings: int, seeds: int) -> pd.DataFrame:
    """Settings on ln y = 0.5 + 0.7 ln x; seeds scatter in x and, correlated, in y."""
    true = rng.normal(3, 0.35, settings).repeat(seeds)
    noise = rng.multivariate_normal([0, 0], [[0.03, 0.008], [0.008, 0.02]], settings * seeds)
    return pd.DataFrame(
        {
            "size": np.arange(settings).repeat(seeds),
            "root": [f"r{i}" for i in range(settings * seeds)],
            "pre": np.exp(true + noise[:, 0]),
            "fine": np.exp(0.5 + 0.7 * true + noise[:, 1]),
        }
    )


def test_a_table_of_replicates() -> None:
    rng = np.random.default_rng(1)
    tables = [replicated(rng, 30, 4).assign(code=code) for code in ("mace", "allegro")]
    frame = pd.concat(tables, ignore_index=True)
    frame.loc[5, "fine"] = -1.0
    twice = pd.concat([frame, frame], ignore_index=True)  # two fine-tunings of each checkpoint
    columns = {"x": "pre", "y": "fine", "replicate": "size", "group": "code", "cluster": "root"}
    lines = york_lines(frame, **columns)
    assert [line.group["code"] for line in lines] == ["allegro", "mace"]
    assert [len(line.exclusions) for line in lines] == [0, 1]
    for line, again in zip(lines, york_lines(twice, **columns), strict=True):
        assert line.low < 0.7 < line.high
        assert line.n_points == 30
        assert_allclose(again.slope, line.slope)
        assert_allclose(again.slope_se, line.slope_se)
        assert "ln fine = intercept + slope · ln pre" in str(line)


def test_too_little_is_explained() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(FitError, match="there are 5 settings with 0 replicates"):
        york_lines(replicated(rng, 5, 1), x="pre", y="fine", replicate="size")
    with pytest.raises(FitError, match="at least three pairs"):
        york([1, 2], [1, 2], x_sd=1, y_sd=1)
    with pytest.raises(FitError, match="above 0"):
        york(X, Y, x_sd=0, y_sd=1)
    with pytest.raises(FitError, match="all x are the same"):
        york(np.ones(4), np.arange(4), x_sd=1, y_sd=1)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [20, 40])
def test_coverage_with_noise_in_x(settings: int) -> None:
    """Nominal 95% intervals of the slope from 3 replicates a setting; least squares fails."""
    rng = np.random.default_rng(5)
    hits, ols = 0, []
    for _ in range(1000):
        [line] = york_lines(
            replicated(rng, settings, 3), x="pre", y="fine", replicate="size", cluster="root"
        )
        hits += line.low < 0.7 < line.high
        ols.append(line.ols_slope)
    assert 0.93 <= hits / 1000 <= 0.97
    assert np.mean(ols) < 0.68

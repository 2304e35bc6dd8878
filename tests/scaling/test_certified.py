"""Fits against certified answers and against statsmodels."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.sandwich_covariance import cov_cluster

from mfscale.scaling import fit
from mfscale.scaling.regression import lack_of_fit, standard_error, straight_line

# NIST StRD, dataset Norris (linear least squares, lower difficulty), y then x.
# https://www.itl.nist.gov/div898/strd/lls/data/Norris.shtml
NORRIS = """
0.1 0.2 338.8 337.4 118.1 118.2 888.0 884.6 9.2 10.1 228.1 226.5 668.5 666.3 998.5 996.3
449.1 448.6 778.9 777.0 559.2 558.2 0.3 0.4 0.1 0.6 778.1 775.5 668.8 666.9 339.3 338.0
448.9 447.5 10.8 11.6 557.7 556.0 228.3 228.1 998.0 995.8 888.8 887.6 119.6 120.2 0.3 0.3
0.6 0.3 557.6 556.8 339.3 339.1 888.0 887.2 998.5 999.0 778.9 779.0 10.2 11.1 117.6 118.3
228.9 229.2 668.4 669.1 449.2 448.9 0.2 0.5
"""
# NIST StRD, dataset DanWood; the answers of least squares on ln y against ln x.
DANWOOD = pd.DataFrame(
    {
        "x": [1.309, 1.471, 1.490, 1.565, 1.611, 1.680],
        "y": [2.138, 3.421, 3.597, 4.340, 4.882, 5.660],
    }
)


def test_norris_line_and_standard_errors() -> None:
    y, x = np.array(NORRIS.split(), dtype=float).reshape(-1, 2).T
    line = straight_line(x, y, np.arange(len(x)))
    assert line.n_points == 36
    assert_allclose(line.slope, 1.00211681802045, rtol=1e-12)
    assert_allclose(line.intercept - line.slope * line.centre, -0.262323073774029, rtol=1e-9)
    assert_allclose(line.covariance[1][1] ** 0.5, 4.29796848199937e-4, rtol=1e-10)
    at_zero = standard_error(line.covariance, np.array([-line.centre]))
    assert_allclose(at_zero, 0.232818234301152, rtol=1e-10)
    assert_allclose(line.sigma, 0.884796396144373, rtol=1e-10)
    assert_allclose(line.r_squared, 0.999993745883712, rtol=1e-12)


def test_danwood_in_logarithms() -> None:
    [power] = fit(DANWOOD, "power", x="x", y="y")
    # The power law is y = A x^−exponent: NIST's b2 with its sign turned.
    assert_allclose(power.parameters["exponent"].estimate, -3.917206, atol=5e-7)
    assert_allclose(power.predict(1.0)["median"], 0.749945, atol=5e-7)
    [line] = fit(DANWOOD, "line", x="x", y="y")
    assert_allclose(line.parameters["slope"].estimate, 3.917206, atol=5e-7)
    assert_allclose(np.exp(line.parameters["intercept"].estimate), 0.749945, atol=5e-7)


@pytest.fixture
def clustered() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    clusters = np.repeat(np.arange(8), [1, 2, 3, 4, 2, 3, 3, 2])
    x = rng.normal(size=20)
    return x, 1 - 0.5 * x + rng.normal(size=8)[clusters] + 0.3 * rng.normal(size=20), clusters


def test_cluster_covariance_by_refitting_without_each_cluster(
    clustered: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    x, y, clusters = clustered
    line = straight_line(x, y, clusters)
    design = np.column_stack([np.ones_like(x), x - x.mean()])
    full = OLS(y, design).fit().params
    changes = [
        OLS(y[clusters != g], design[clusters != g]).fit().params - full
        for g in np.unique(clusters)
    ]
    assert_allclose(line.covariance, 7 / 8 * sum(np.outer(c, c) for c in changes), rtol=1e-9)
    assert (line.method, line.degrees_of_freedom) == ("cluster jackknife", 7)
    robust = cov_cluster(OLS(y, design).fit(), clusters, crv_type="cluster-crv3")
    assert_allclose(line.covariance, robust, rtol=1e-9)


@pytest.mark.parametrize("n_clusters", [3, 4, 5, 6, 7])
@pytest.mark.parametrize("between", [0.0, 0.3, 3.0])
def test_few_clusters_have_the_larger_variance_for_every_contrast(
    n_clusters: int, between: float
) -> None:
    rng = np.random.default_rng(n_clusters)
    clusters = np.repeat(np.arange(n_clusters), 3)
    x = 40 + rng.normal(size=len(clusters))
    y = x + between * rng.normal(size=n_clusters)[clusters] + rng.normal(size=len(clusters))
    line = straight_line(x, y, clusters)
    result = OLS(y, np.column_stack([np.ones_like(x), x - x.mean()])).fit()
    jackknife = cov_cluster(result, clusters, crv_type="cluster-crv3")
    for other in (jackknife, result.cov_params()):
        excess = np.array(line.covariance) - other
        assert np.linalg.eigvalsh(excess).min() >= -1e-9 * np.trace(other)
    # No larger than it must be: at most the sum of both, and one of both if that dominates.
    relative = np.linalg.eigvals(np.linalg.solve(result.cov_params(), jackknife))
    if relative.min() >= 1:
        assert_allclose(line.covariance, jackknife, rtol=1e-9)
    if relative.max() <= 1:
        assert_allclose(line.covariance, result.cov_params(), rtol=1e-9, atol=1e-12)
    total = jackknife + result.cov_params() - line.covariance
    assert np.linalg.eigvalsh(total).min() >= -1e-9


def test_three_clusters_of_equal_slope_by_hand() -> None:
    """Slopes agree, heights are −1, 0, 1: RSS 6 with 7 degrees of freedom, Sxx 6.

    The jackknife knows the slope exactly and the height to 1/3; the classical variances are
    (6/7)/6 = 1/7 and (6/7)/9 < 1/3.
    """
    x = np.tile([0.0, 1.0, 2.0], 3)
    clusters = np.repeat([0, 1, 2], 3)
    line = straight_line(x, 2 * x + clusters - 1, clusters)
    assert_allclose(line.covariance, [[1 / 3, 0], [0, 1 / 7]], atol=1e-12)
    assert (line.method, line.degrees_of_freedom) == ("cluster jackknife, at least classical", 2)


def test_classical_intervals_are_those_of_statsmodels() -> None:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"x": rng.uniform(1, 100, 15)})
    frame["y"] = 3 * frame["x"] ** -0.4 * np.exp(rng.normal(0, 0.1, 15))
    [found] = fit(frame, "power", x="x", y="y", level=0.9)
    reference = OLS(np.log(frame["y"]), np.column_stack([np.ones(15), np.log(frame["x"])])).fit()
    low, high = -reference.conf_int(0.1).to_numpy()[1][::-1]
    exponent = found.parameters["exponent"]
    assert_allclose([exponent.low, exponent.high], [low, high], rtol=1e-9)
    expected = reference.get_prediction([[1.0, np.log(7.0)]]).summary_frame(0.1).iloc[0]
    predicted = found.predict(7.0).iloc[0]
    for ours, theirs in (
        ("median", "mean"),
        ("mean_low", "mean_ci_lower"),
        ("mean_high", "mean_ci_upper"),
        ("new_run_low", "obs_ci_lower"),
        ("new_run_high", "obs_ci_upper"),
    ):
        assert_allclose(np.log(predicted[ours]), expected[theirs], rtol=1e-9)


def test_balanced_clusters_have_the_textbook_answer() -> None:
    """Each of 8 clusters sees every x: the slope is the mean of 8 slopes, of variance s²/8."""
    x = np.tile([0.0, 1.0, 2.0], 8)
    clusters = np.repeat(np.arange(8), 3)
    line = straight_line(x, x * (clusters + 1), clusters)  # slopes 1 to 8: mean 4.5, s² = 6
    assert_allclose(line.slope, 4.5)
    assert_allclose(line.covariance[1][1], 0.75)
    assert line.degrees_of_freedom == 7


def test_lack_of_fit_by_hand() -> None:
    """Three levels, two replicates each: pure error 3 · 2 · 0.1², 3 degrees of freedom.

    Level means 0, 1, 0 about the best line (flat at 1/3): lack 2 · (1/9 + 4/9 + 1/9) = 4/3, one
    degree of freedom. F(1, 3) = (4/3) / 0.02 = 66.7, whose tail is p = 0.00384 (Student's t with 3
    degrees of freedom beyond ±8.165).
    """
    x = np.repeat([0.0, 1.0, 2.0], 2)
    y = np.repeat([0.0, 1.0, 0.0], 2) + np.tile([-0.1, 0.1], 3)
    assert_allclose(lack_of_fit(x, y, np.arange(6)), 0.00384, atol=1e-5)
    # Twins within a cluster are no replicates: averaged, nothing is left to test against.
    assert np.isnan(lack_of_fit(x, y, np.repeat([0, 1, 2], 2)))

"""Nominal 95% intervals cover 95% of the time: simulated tables of clustered runs."""

from math import isnan

import numpy as np
import pandas as pd
import pytest

from mfscale.scaling import fit
from mfscale.scaling.regression import quantile, standard_error, straight_line

SLOPE, HEIGHT, SPREAD = -0.5, 4.0, 0.15
TABLES = 2000  # a binomial standard error of half a point at 95%


def _design(kind: str, rng: np.random.Generator, n_clusters: int) -> tuple[np.ndarray, np.ndarray]:
    """Ln x and cluster of each run."""
    if kind == "independent":
        return np.log(np.resize([25.0, 50.0, 100.0], n_clusters)), np.arange(n_clusters)
    if kind == "every size from every checkpoint":
        sizes = np.log([25.0, 50.0, 100.0])
        return np.tile(sizes, n_clusters), np.repeat(np.arange(n_clusters), 3)
    repeats = rng.integers(1, 5, n_clusters)
    repeats[0] = 2  # never all single, so that the jackknife is always meant
    clusters = np.repeat(np.arange(n_clusters), repeats)
    if kind == "x belongs to the checkpoint":
        return rng.normal(3, 0.6, n_clusters)[clusters], clusters
    return np.log(rng.choice([25.0, 50.0, 100.0, 200.0], len(clusters))), clusters


def _coverage(kind: str, n_clusters: int, between: float) -> tuple[float, float, float]:
    """Share of intervals that hold the slope, the law and a new run, at large x."""
    rng = np.random.default_rng(20)
    hits, intervals = np.zeros(3), 0
    for _ in range(TABLES):
        x, clusters = _design(kind, rng, n_clusters)
        y = HEIGHT + SLOPE * x
        y += rng.normal(0, SPREAD * between**0.5, n_clusters)[clusters]
        y += rng.normal(0, SPREAD * (1 - between) ** 0.5, len(x))
        line = straight_line(x, y, clusters)
        if line.method == "undetermined":
            continue
        intervals += 1
        at = float(np.quantile(x, 0.9))
        truth, width = HEIGHT + SLOPE * at, quantile(0.95, line.degrees_of_freedom)
        predicted = line.intercept + line.slope * (at - line.centre)
        of_law = float(standard_error(line.covariance, np.array([at - line.centre]))[0])
        of_run = (of_law**2 + line.sigma**2) ** 0.5
        hits += [
            abs(line.slope - SLOPE) <= width * line.covariance[1][1] ** 0.5,
            abs(predicted - truth) <= width * of_law,
            abs(predicted - truth - rng.normal(0, SPREAD)) <= width * of_run,
        ]
    assert intervals > 0.7 * TABLES
    slope, law, run = hits / intervals
    return float(slope), float(law), float(run)


KINDS = [
    "independent",
    "every size from every checkpoint",
    "x belongs to the checkpoint",
    "unbalanced",
]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_twenty_four_clusters(kind: str) -> None:
    for share in _coverage(kind, 24, between=0.6):
        assert 0.93 <= share <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_clusters", [3, 4, 6])
def test_few_clusters_do_not_feign_certainty(kind: str, n_clusters: int) -> None:
    """Intervals may be too wide with so few, not too narrow; CR1 falls below 0.80 here."""
    assert min(_coverage(kind, n_clusters, between=0.6)) >= 0.93


@pytest.mark.parametrize("kind", KINDS)
def test_two_clusters_give_no_interval(kind: str) -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):
        x, clusters = _design(kind, rng, 2)
        line = straight_line(x, rng.normal(size=len(x)), clusters)
        assert np.isnan(line.covariance).all()
        assert (line.method, line.degrees_of_freedom) == ("undetermined", 0)


@pytest.fixture
def lucky() -> pd.DataFrame:
    """Three checkpoints whose exponents agree by luck to 0.0001, in runs that scatter by 1.17.

    A study of two seeds really gave this: six runs, exponent 0.1024–0.1045 at 95%.
    """
    rows = [
        {"root_id": f"dft/{seed}", "labels": labels, "mae": np.exp(5 + shift + bend - slope)}
        for seed, (exponent, shift) in enumerate([(0.1034, 0.13), (0.1035, -0.13), (0.1034, 0.0)])
        for labels, bend in ((25, 0.06), (50, -0.12), (100, 0.06))
        for slope in [exponent * np.log(labels / 50)]
    ]
    return pd.DataFrame(rows)


def test_checkpoints_that_agree_by_luck_do_not_feign_certainty(lucky: pd.DataFrame) -> None:
    columns = {"x": "labels", "y": "mae"}
    [two] = fit(lucky[:6], "power", cluster="root_id", **columns)
    assert two.determined
    assert 1.15 < two.sigma_factor < 1.3
    assert [warning.code for warning in two.warnings] == ["few-clusters"]
    assert isnan(two.parameters["exponent"].low)
    [three] = fit(lucky, "power", cluster="root_id", **columns)
    [naive] = fit(lucky, "power", **columns)
    for name, ours in three.parameters.items():
        theirs = naive.parameters[name]
        assert ours.high - ours.low > theirs.high - theirs.low
    at = [5, 25, 60, 100, 900]
    assert (three.predict(at)["mean_low"] < naive.predict(at)["mean_low"]).all()
    assert (three.predict(at)["mean_high"] > naive.predict(at)["mean_high"]).all()
    assert "cluster jackknife, at least classical; Student's t, 2 degrees" in three.report()

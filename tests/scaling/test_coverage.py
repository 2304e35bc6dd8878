"""Nominal 95% intervals cover 95% of the time: simulated tables of clustered runs."""

import numpy as np
import pytest

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
    """Share of tables whose intervals hold the slope, the law and a new run, at large x."""
    rng = np.random.default_rng(20)
    hits = np.zeros(3)
    for _ in range(TABLES):
        x, clusters = _design(kind, rng, n_clusters)
        y = HEIGHT + SLOPE * x
        y += rng.normal(0, SPREAD * between**0.5, n_clusters)[clusters]
        y += rng.normal(0, SPREAD * (1 - between) ** 0.5, len(x))
        line = straight_line(x, y, clusters)
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
    slope, law, run = hits / TABLES
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
@pytest.mark.parametrize("n_clusters", [4, 6])
def test_few_clusters_do_not_feign_certainty(kind: str, n_clusters: int) -> None:
    """Intervals may be too wide with so few, never much too narrow; CR1 falls below 0.80 here."""
    assert min(_coverage(kind, n_clusters, between=0.6)) >= 0.90

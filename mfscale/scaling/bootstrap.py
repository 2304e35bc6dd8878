"""Cluster-bootstrap draws of a fit, and intervals from draws.

Whole clusters are drawn with replacement, because the rows of one are not independent; seeds are
clusters of their own, and so replicates. Percentile intervals of G clusters are too narrow by about
√((G − 1)/G), or √((n − p)/n) for n independent rows and p coefficients, and by the normal where
Student's t belongs; both are made good by reading the draws at wider levels (the *expanded*
percentile interval of Hesterberg, *The American Statistician* 69, 371, 2015). BCa is Efron's
(*JASA* 82, 171, 1987), with its acceleration from the cluster jackknife.
"""

import numpy as np

from mfscale.scaling.problem import Problem
from mfscale.scaling.refits import refit
from mfscale.scaling.vectors import Indices, Vector

_SINGULAR = 1e8  # a condition number beyond this: the drawn clusters do not determine the law


def bootstrap(problem: Problem, theta: Vector, n_draws: int, seed: int) -> Vector:
    """Refit to clusters drawn with replacement.

    Parameters
    ----------
    problem
        With p estimated coefficients. Huber's delta stays that of the whole data.
    theta
        The optimum, where every refit starts, shape ``(p,)``.
    n_draws, seed
        How many; and of the random generator, so that the same data give the same draws.

    Returns
    -------
    Vector
        Internal coefficients, shape ``(n_draws, p)``; NaN for draws that do not determine the law.
    """
    if n_draws == 0:
        return np.empty((0, len(theta)))
    drawn = refit(problem, theta, draw_weights(problem.clusters, n_draws, seed))
    kept = drawn.converged & (drawn.condition < _SINGULAR)
    return np.where(kept[:, None], drawn.theta, np.nan)


def draw_weights(clusters: Indices, n_draws: int, seed: int) -> Vector:
    """How often each row is drawn, shape ``(n_draws, n)``."""
    n_clusters = int(clusters.max()) + 1
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(n_clusters, np.full(n_clusters, 1 / n_clusters), size=n_draws)
    return np.asarray(counts[:, clusters], dtype=float)


def leave_one_out(problem: Problem, theta: Vector) -> Vector:
    """Refit without each cluster; ``(G, p)``, NaN where that does not determine the law."""
    weights = 1.0 - (np.arange(problem.n_clusters)[:, None] == problem.clusters)
    without = refit(problem, theta, weights)
    kept = without.converged & (without.condition < _SINGULAR)
    return np.where(kept[:, None], without.theta, np.nan)


def interval(
    draws: Vector,
    level: float,
    n_clusters: int,
    *,
    freedom: int | None = None,
    estimate: Vector | None = None,
    left_out: Vector | None = None,
) -> tuple[Vector, Vector]:
    """Interval of each column of `draws`: percentile, or BCa if the last two are given.

    Parameters
    ----------
    draws
        Shape ``(n_draws, m)``; rows with NaN are passed over.
    level, n_clusters
        Of the interval; what was drawn from.
    freedom
        Of Student's t; one less than the clusters by default.
    estimate, left_out
        Of the whole data, ``(m,)``; without each cluster, ``(G, m)``.
    """
    from scipy.special import ndtr, ndtri, stdtrit  # noqa: PLC0415 - not needed to read a fit

    draws = draws[np.isfinite(draws).all(axis=1)]
    if len(draws) < 2:
        nothing = np.full(draws.shape[1], np.nan)
        return nothing, nothing
    freedom = freedom or n_clusters - 1
    wide = (n_clusters / freedom) ** 0.5 * stdtrit(freedom, (1 + level) / 2)
    if estimate is None or left_out is None:
        low, high = np.quantile(draws, [ndtr(-wide), ndtr(wide)], axis=0)
        return low, high
    below = np.mean(draws < estimate, axis=0) + 0.5 * np.mean(draws == estimate, axis=0)
    bias = ndtri(np.clip(below, 1 / len(draws), 1 - 1 / len(draws)))
    acceleration = _acceleration(left_out)
    ends = []
    for z in (-wide, wide):
        shifted = bias + z
        places = ndtr(bias + shifted / np.maximum(1 - acceleration * shifted, 0.1))
        ends.append(np.array([np.quantile(c, at) for c, at in zip(draws.T, places, strict=True)]))
    return ends[0], ends[1]


def _acceleration(left_out: Vector) -> Vector:
    """Σ d³ / (6 (Σ d²)^1.5), d the mean of the estimates without each cluster minus each."""
    d = np.nanmean(left_out, axis=0) - left_out
    squares = np.nansum(d**2, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.nan_to_num(np.nansum(d**3, axis=0) / (6 * squares**1.5)))

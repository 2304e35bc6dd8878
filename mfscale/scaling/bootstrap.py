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
from mfscale.scaling.refits import ELEMENTS, refit
from mfscale.scaling.vectors import Flags, Indices, Vector

_UNSEEN = 1e-10  # the share of a direction's information that a determined draw has at least
_NULL = 1e-13  # relative eigenvalue of JᵀJ below which no row tells of a direction


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
        Internal coefficients, shape ``(n_draws, p)``; NaN for draws that do not determine the law
        as far as all the rows do (see `determined`).
    """
    if n_draws == 0:
        return np.empty((0, len(theta)))
    return _refitted(problem, theta, draw_weights(problem.clusters, n_draws, seed))


def draw_weights(clusters: Indices, n_draws: int, seed: int) -> Vector:
    """How often each row is drawn, shape ``(n_draws, n)``."""
    n_clusters = int(clusters.max()) + 1
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(n_clusters, np.full(n_clusters, 1 / n_clusters), size=n_draws)
    return np.asarray(counts[:, clusters], dtype=float)


def leave_one_out(problem: Problem, theta: Vector) -> Vector:
    """Refit without each cluster; ``(G, p)``, NaN where that does not determine the law."""
    weights = 1.0 - (np.arange(problem.n_clusters)[:, None] == problem.clusters)
    return _refitted(problem, theta, weights)


def _refitted(problem: Problem, theta: Vector, weights: Vector) -> Vector:
    found = refit(problem, theta, weights)
    kept = found.converged & determined(problem, found.theta, weights)
    return np.where(kept[:, None], found.theta, np.nan)


def determined(problem: Problem, theta: Vector, weights: Vector) -> Flags:
    """Whether the rows that were drawn determine whatever all the rows do.

    A draw of one size alone says nothing of a slope, and is lost. A direction of which no row says
    anything, such as the power with which labels grow in worth once they are worth nothing, changes
    no prediction, and does not count: leaving such draws out would leave those in which the
    coefficient happens to be large.

    Parameters
    ----------
    problem
        With n rows and p coefficients.
    theta, weights
        Solutions, ``(m, p)``, and the weights that they are solutions with, ``(m, n)``.

    Returns
    -------
    Flags
        Shape ``(m,)``. Judged by the least share of the information of all rows, over directions
        within the coefficients that they do not push to a bound, that the drawn rows have.
    """
    size = max(1, ELEMENTS // problem.n_points)
    parts = [
        _determined(problem, theta[i : i + size], weights[i : i + size])
        for i in range(0, len(theta), size)
    ]
    return np.concatenate(parts)


def _determined(problem: Problem, theta: Vector, weights: Vector) -> Flags:
    with np.errstate(all="ignore"):
        residuals, jacobian = problem.residuals(theta)
        robust = weights * problem.robust_weights(residuals)
        gradient = np.einsum("mpn,mn->mp", jacobian, robust * residuals)
        held = (theta <= problem.low) & (gradient > 0)  # which the drawn rows push to a bound
        held |= (theta >= problem.high) & (gradient < 0)
        jacobian = jacobian * ~held[:, :, None]
        lengths = np.sqrt(np.einsum("mpn,mpn->mp", jacobian, jacobian))
        unit = jacobian / np.where(lengths > 0, lengths, 1.0)[:, :, None]
    finite: Flags = np.array(np.isfinite(unit).all(axis=(1, 2)))
    unit = np.where(finite[:, None, None], unit, 0.0)
    values, vectors = np.linalg.eigh(unit @ unit.transpose(0, 2, 1))
    seen = values > _NULL * values[:, -1:]
    # In coordinates where all the rows together have unit information of each direction seen.
    scale = np.where(seen, 1 / np.sqrt(np.where(seen, values, 1.0)), 0.0)
    white = (vectors * scale[:, None, :]).transpose(0, 2, 1) @ unit
    information = (white * weights[:, None]) @ white.transpose(0, 2, 1)
    p = information.shape[1]
    information[:, range(p), range(p)] += ~seen
    return np.array(finite & (np.linalg.eigvalsh(information)[:, 0] > _UNSEEN))


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

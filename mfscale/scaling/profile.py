"""Profile likelihood: the interval of an irreducible error, which is anything but symmetric.

For each value of the error the other coefficients are fitted anew; values that cost too much are
outside. The cost is measured in units of the residual variance (Hampel et al., *Robust Statistics*,
1986, section 7.2, for Huber's loss), and for what clusters make of the data the deviance is divided
by the ratio of the cluster-robust to the classical variance (Chandler & Bate, *Biometrika* 94, 167,
2007).
"""

from collections.abc import Callable

import numpy as np

from mfscale.scaling.covariance import Covariance
from mfscale.scaling.optimum import Optimum
from mfscale.scaling.problem import Problem
from mfscale.scaling.refits import refit
from mfscale.scaling.regression import quantile
from mfscale.scaling.vectors import Vector

_COARSE, _FINE = 40, 12


def profile_interval(
    problem: Problem, optimum: Optimum, covariance: Covariance, place: int, level: float
) -> tuple[float, float]:
    """Interval of the estimated coefficient at `place`, an error of at least 0.

    Parameters
    ----------
    problem, optimum
        Of p estimated coefficients.
    covariance
        Of those, shape ``(p, p)``; 0 for one at a bound, whose variance is then the sandwich's.
    place, level
        Which coefficient; of the interval.

    Returns
    -------
    low, high
        Scaled. Low is 0 if no error at all is within the interval; high is 1 (the smallest y) if
        the interval reaches that far. NaN if the degrees of freedom are 0.
    """
    threshold = quantile(level, covariance.degrees_of_freedom) ** 2
    unit = _deviance_unit(problem, optimum, place, float(covariance.matrix[place, place]))
    if not (np.isfinite(threshold) and unit > 0):
        return np.nan, np.nan
    best = float(optimum.theta[place])

    def excess(values: Vector) -> Vector:
        """How far the deviance is beyond the threshold, as a root: nearly linear in the value."""
        costs = _profile(problem, optimum, place, values)
        deviance = 2 * np.maximum(costs - optimum.cost, 0.0) / unit
        return np.asarray(np.sqrt(deviance) - threshold**0.5)

    low, high = (
        _crossing(np.linspace(best, end, _COARSE), excess) for end in (0.0, max(1.0, 1.3 * best))
    )
    return max(low, 0.0), high


def _crossing(values: Vector, excess: Callable[[Vector], Vector]) -> float:
    """Where the excess turns positive, going along `values`; their end if it does not."""
    if values[0] == values[-1]:
        return float(values[-1])
    beyond = np.flatnonzero(excess(values) > 0)
    if not len(beyond):
        return float(values[-1])
    inner = max(int(beyond[0]), 1)
    fine = np.linspace(values[inner - 1], values[inner], _FINE)
    heights = excess(fine)
    after = max(int(np.argmax(heights > 0)), 1)
    a, b = heights[after - 1], heights[after]
    share = np.clip(-a / (b - a), 0.0, 1.0) if b > a else 1.0
    return float(fine[after - 1] + share * (fine[after] - fine[after - 1]))


def _profile(problem: Problem, optimum: Optimum, place: int, values: Vector) -> Vector:
    """The least cost with the coefficient held at each of `values`."""
    m = len(values)
    starts = np.repeat(optimum.theta[None], m, axis=0)
    low = np.repeat(problem.low[None], m, axis=0)
    high = np.repeat(problem.high[None], m, axis=0)
    for array in (starts, low, high):
        array[:, place] = values
    return refit(problem, starts, np.ones((m, problem.n_points)), low=low, high=high).cost


def _deviance_unit(problem: Problem, optimum: Optimum, place: int, robust: float) -> float:
    """Of 2 · cost: the residual variance, times what clusters make the data worth less (or more).

    More, where what scatters is the height of whole clusters, which the floor does not depend on.
    """
    residuals, jacobian = (a[0] for a in problem.residuals(optimum.theta[None]))
    weights = problem.robust_weights(residuals)
    freedom = problem.n_points - len(optimum.theta)
    if freedom < 1:
        return 0.0
    variance = float(np.sum((weights * residuals) ** 2)) / freedom
    inverse = np.linalg.pinv(jacobian @ jacobian.T)
    if not robust > 0:
        scores = np.zeros((problem.n_clusters, len(jacobian)))
        np.add.at(scores, problem.clusters, (jacobian * weights * residuals).T)
        correction = problem.n_clusters / max(problem.n_clusters - 1, 1)
        robust = (inverse @ (scores.T @ scores) @ inverse)[place, place] * correction
    inside = float(np.mean(np.abs(residuals) <= problem.delta))
    classical = variance / inside**2 * inverse[place, place]
    if not classical > 0:  # no residual at all, or rows that do not depend on the coefficient
        return 0.0
    return variance / inside * float(robust / classical)

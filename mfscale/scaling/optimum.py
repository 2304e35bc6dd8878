"""Find the optimum of a problem from many starts, and say how sure it is to be the optimum."""

from dataclasses import dataclass, replace
from math import inf

import numpy as np

from mfscale.scaling.problem import Problem
from mfscale.scaling.refits import refit
from mfscale.scaling.vectors import Flags, Vector

_SAME = 1e-6  # relative difference of costs that counts as the same optimum
_HUBER = 1.345  # times sigma: 95% efficient if the noise is normal after all (Huber 1964)


@dataclass(frozen=True)
class Optimum:
    """Where the search ended.

    Attributes
    ----------
    theta
        Internal, shape ``(p,)``.
    cost
        Σ ρ(residual).
    reason
        Why `scipy.optimize.least_squares` stopped, in its words.
    converged
        Whether it stopped at an optimum.
    starts, agreeing
        Starts tried, and those that ended in the best cost.
    at_bound
        Shape ``(p,)``: which coefficients lie at a bound.
    condition
        Of the Jacobian with columns of unit length; coefficients at a bound are left out.
    """

    theta: Vector
    cost: float
    reason: str
    converged: bool
    starts: int
    agreeing: int
    at_bound: Flags
    condition: float


def find_optimum(problem: Problem) -> Optimum:
    """Search from every start at once, then hand the best to `scipy.optimize.least_squares`.

    The coarse search and SciPy's trust region are independent of each other; the better of their
    answers is taken. Least squares on the *sum* of losses, with an analytic Jacobian and tolerances
    near rounding: a mean loss with default tolerances, as published notebooks minimise, stops
    early, because each step gains less than the tolerance.
    """
    from scipy.optimize import least_squares  # noqa: PLC0415 - half a second to import

    starts = problem.starts()
    ones = np.ones((1, problem.n_points))
    searched = refit(problem, starts, np.repeat(ones, len(starts), axis=0))
    best = int(np.argmin(searched.cost))
    theta = searched.theta[best]
    robust = problem.delta < inf
    inside = _strictly_inside(theta, problem.low, problem.high)

    def residuals(theta: Vector) -> Vector:
        return np.asarray(problem.residuals(theta[None])[0][0])

    def jacobian(theta: Vector) -> Vector:
        return np.asarray(problem.residuals(theta[None])[1][0].T)

    try:
        polished = least_squares(
            residuals,
            inside,
            jac=jacobian,
            bounds=(problem.low, problem.high),
            loss="huber" if robust else "linear",
            f_scale=problem.delta if robust else 1.0,
            x_scale="jac",
            ftol=1e-13,
            xtol=1e-13,
            gtol=1e-13,
            max_nfev=500,
        )
        elsewhere, stopped = polished.x, polished.status > 0
        reason = str(polished.message).replace("`", "")
    except ValueError:  # a trial step into overflow
        elsewhere, stopped = theta, bool(searched.converged[best])
        reason = "the law overflowed in SciPy's search: the coarse search's answer"
    # SciPy stays strictly inside bounds; one more refit from its answer settles on them.
    last = refit(problem, np.stack([elsewhere, theta]), np.repeat(ones, 2, axis=0), tolerance=1e-12)
    chosen = int(last.cost[1] < last.cost[0] * (1 - 1e-12))  # of equals, SciPy's is the sharper
    theta, cost = last.theta[chosen], float(last.cost[chosen])
    noise = 1e-20 * problem.n_points
    return Optimum(
        theta=theta,
        cost=cost,
        reason=reason,
        converged=bool(last.converged[chosen]) and stopped,
        starts=len(starts),
        agreeing=int(np.sum(searched.cost <= cost * (1 + _SAME) + noise)),
        at_bound=(theta <= problem.low) | (theta >= problem.high),
        condition=float(last.condition[chosen]),
    )


def with_robust_loss(problem: Problem, sigma: float) -> Problem:
    """The problem with Huber's loss, its delta 1.345 · sigma.

    Without a sigma from replicates (NaN) it is the normalised median absolute residual, found
    together with the fit: from least squares on, three rounds settle it.
    """
    if np.isfinite(sigma) and sigma > 0:
        return replace(problem, delta=_HUBER * sigma)
    for _ in range(3):
        residuals = problem.residuals(find_optimum(problem).theta[None])[0][0]
        spread = float(np.median(np.abs(residuals))) / 0.6745
        problem = replace(problem, delta=_HUBER * max(spread, 1e-9))
    return problem


def _strictly_inside(theta: Vector, low: Vector, high: Vector) -> Vector:
    room = np.where(np.isfinite(high - low), high - low, 1.0)
    return np.clip(theta, low + 1e-6 * room, high - 1e-6 * room)

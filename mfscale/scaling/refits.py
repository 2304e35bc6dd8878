"""Solve one problem under many weightings of its rows at once.

A bootstrap draw, a left-out cluster, a point of a profile and a start of a multi-start are all the
same fit with other weights, bounds or starts. Solved one at a time by a general optimiser they take
minutes; here all take each Levenberg–Marquardt step together, as arrays. Bounds are kept by
projection: a coefficient at its bound that would leave it sits the step out. Huber's loss enters as
iteratively reweighted least squares, whose every step lowers the true loss.
"""

from dataclasses import dataclass

import numpy as np

from mfscale.scaling.problem import Problem
from mfscale.scaling.vectors import Flags, Indices, Vector

_STEPS = 300
_COSINE = 1e-9
_ROUNDING = 1 + 1e-12  # a step may raise the cost as much: it is the gradient that decides
_NEARLY = 1e-5  # as much is accepted where rounding allows no further step
ELEMENTS = 120_000  # of one array of residuals: larger ones leave the processor's cache


@dataclass(frozen=True)
class Refits:
    """Solutions of m weightings.

    Attributes
    ----------
    theta
        Shape ``(m, p)``, internal.
    cost
        Σ weight · ρ(residual), shape ``(m,)``.
    converged
        Shape ``(m,)``: whether no step leads further down.
    condition
        Of the weighted Jacobian with columns of unit length, without those of coefficients at a
        bound; shape ``(m,)``.
    """

    theta: Vector
    cost: Vector
    converged: Flags
    condition: Vector


def refit(
    problem: Problem,
    start: Vector,
    weights: Vector,
    *,
    low: Vector | None = None,
    high: Vector | None = None,
    tolerance: float = _COSINE,
) -> Refits:
    """Minimise Σ weight · ρ(residual) for every row of `weights`.

    Parameters
    ----------
    problem
        With p estimated coefficients and n rows.
    start
        Internal, ``(p,)`` for all or ``(m, p)``.
    weights
        At least 0, ``(m, n)``.
    low, high
        Internal bounds of each, ``(m, p)``, instead of the problem's.
    tolerance
        On the cosine between the residuals and each column of the Jacobian, which is 0 at an
        optimum whatever the units.
    """
    shape = (len(weights), start.shape[-1])
    low, high = (
        np.broadcast_to(own if bound is None else bound, shape)
        for own, bound in ((problem.low, low), (problem.high, high))
    )
    theta = np.clip(np.broadcast_to(start, shape), low, high)
    size = max(1, ELEMENTS // problem.n_points)
    parts = []
    for first in range(0, len(weights), size):
        of = slice(first, first + size)
        parts.append(_refit(problem, theta[of], weights[of], low[of], high[of], tolerance))
    return Refits(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("theta", "cost", "converged", "condition")
        )
    )


@dataclass
class _State:
    """Where the unfinished solutions are: the only thing here that changes."""

    theta: Vector
    low: Vector
    high: Vector
    weights: Vector
    cost: Vector
    gradient: Vector
    normal: Vector  # Jᵀ W J
    squares: Vector  # Σ weight · robust weight · residual²

    def take(self, better: Flags, other: "_State") -> None:
        for name in ("theta", "cost", "gradient", "normal", "squares"):
            getattr(self, name)[better] = getattr(other, name)[better]

    def only(self, kept: Flags) -> "_State":
        return _State(*(getattr(self, n)[kept] for n in self.__dataclass_fields__))


def _refit(
    problem: Problem,
    theta: Vector,
    weights: Vector,
    low: Vector,
    high: Vector,
    tolerance: float,
) -> Refits:
    m = len(theta)
    found = Refits(theta.copy(), np.full(m, np.inf), np.zeros(m, dtype=bool), np.full(m, np.inf))
    places = np.arange(m)
    state = _evaluate(problem, theta.copy(), weights, low, high)
    damping, growth = np.full(m, 1e-3), np.full(m, 2.0)
    for _ in range(_STEPS):
        free = _free(state)
        cosine = _cosine(state, free)
        stuck = damping > 1e12
        done = (cosine < tolerance) | stuck
        if done.any():
            _record(found, places[done], state.only(done), free[done], cosine[done])
            keep = ~done
            places, damping, growth = places[keep], damping[keep], growth[keep]
            state, free = state.only(keep), free[keep]
        if not len(places):
            return found
        step = _step(state, free, damping)
        moved = np.clip(state.theta + step, state.low, state.high)
        trial = _evaluate(problem, moved, state.weights, state.low, state.high)
        with np.errstate(invalid="ignore"):
            better = trial.cost <= state.cost * _ROUNDING
        better &= np.isfinite(trial.gradient).all(axis=1)
        better &= np.isfinite(trial.normal).all(axis=(1, 2))
        state.take(better, trial)
        # Nielsen's rule, IMM technical report 1999-05: damping falls by 3 with each success and
        # grows ever faster with each failure in a row.
        damping = np.where(better, np.maximum(damping / 3, 1e-15), damping * growth)
        growth = np.where(better, 2.0, growth * 2)
    free = _free(state)
    _record(found, places, state, free, _cosine(state, free))
    return found


def _evaluate(
    problem: Problem, theta: Vector, weights: Vector, low: Vector, high: Vector
) -> _State:
    with np.errstate(all="ignore"):
        residuals, jacobian = problem.residuals(theta)
        cost = np.einsum("mn,mn->m", weights, problem.losses(residuals))
        robust = weights * problem.robust_weights(residuals)
        weighted = jacobian * robust[:, None]
        return _State(
            theta=theta,
            low=low,
            high=high,
            weights=weights,
            cost=np.where(np.isfinite(cost), cost, np.inf),
            gradient=np.einsum("mpn,mn->mp", weighted, residuals),
            normal=weighted @ jacobian.transpose(0, 2, 1),
            squares=np.einsum("mn,mn->m", robust, residuals**2),
        )


def _free(state: _State) -> Flags:
    """Whether each coefficient may move: not at a bound with the loss falling beyond it."""
    outside = (state.theta <= state.low) & (state.gradient > 0)
    outside |= (state.theta >= state.high) & (state.gradient < 0)
    return np.asarray(~(outside | (state.low == state.high)))


def _cosine(state: _State, free: Flags) -> Vector:
    lengths = np.sqrt(np.diagonal(state.normal, axis1=1, axis2=2) * state.squares[:, None])
    with np.errstate(all="ignore"):
        cosines = np.where(free & (lengths > 0), np.abs(state.gradient) / lengths, 0.0)
    exact = state.squares <= 1e-28  # residuals of rounding, in data that lie on the law
    return np.where(exact, 0.0, np.nan_to_num(cosines, nan=1.0).max(axis=1, initial=0.0))


def _step(state: _State, free: Flags, damping: Vector) -> Vector:
    """(Jᵀ W J + damping · its diagonal)⁻¹ gradient, downhill, in the free coefficients."""
    p = free.shape[1]
    normal = np.nan_to_num(state.normal, posinf=0.0, neginf=0.0)  # a start may overflow
    normal = normal * free[:, :, None] * free[:, None, :]
    diagonal = np.diagonal(normal, axis1=1, axis2=2)
    scale = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    normal = normal / scale[:, :, None] / scale[:, None, :]
    normal[:, range(p), range(p)] = np.where(diagonal > 0, 1.0, 0.0) + damping[:, None]
    normal[:, range(p), range(p)] += np.where(diagonal > 0, 0.0, 1.0)
    gradient = np.where(free, state.gradient, 0.0) / scale
    return np.asarray(-np.linalg.solve(normal, gradient[:, :, None])[:, :, 0] / scale)


def _record(found: Refits, places: Indices, state: _State, free: Flags, cosine: Vector) -> None:
    found.theta[places] = state.theta
    found.cost[places] = state.cost
    found.converged[places] = (cosine < _NEARLY) & np.isfinite(state.cost)
    found.condition[places] = condition(state.normal, free)


def condition(normal: Vector, free: Flags) -> Vector:
    """Condition number of J with unit columns from JᵀJ, ``(m, p, p)``, over its free columns."""
    p = free.shape[1]
    diagonal = np.diagonal(normal, axis1=1, axis2=2)
    scale = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    unit = normal / scale[:, :, None] / scale[:, None, :] * free[:, :, None] * free[:, None, :]
    unit[:, range(p), range(p)] = np.where(free, np.where(diagonal > 0, 1.0, 0.0), 1.0)
    values = np.linalg.eigvalsh(np.nan_to_num(unit))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sqrt(values[:, -1] / np.maximum(values[:, 0], 0.0))

"""What a fit says at points of its predictors: medians, intervals, and distance from the data."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mfscale.scaling.errors import FitError
from mfscale.scaling.regression import quantile
from mfscale.scaling.vectors import Vector
from mfscale.scaling.wild import Moments

if TYPE_CHECKING:
    from mfscale.scaling.result import Fit

Values = float | Sequence[float] | NDArray[Any]
Points = Values | Mapping[str, Values] | pd.DataFrame

_LARGEST = 700.0  # short of overflow of the exponential
_ENDS = ("mean_low", "mean_high", "new_run_low", "new_run_high")


def points_of(fit: "Fit", x: Points) -> dict[str, Vector]:
    """Role → values, all of one shape ``(m,)``.

    Raises
    ------
    FitError
        For a missing predictor, or a value that is not a number the law can take.
    """
    if isinstance(x, pd.DataFrame):
        x = {str(column): x[column].to_numpy(dtype=float) for column in x}
    if not isinstance(x, Mapping):
        if len(fit.axes) > 1:
            raise FitError(
                f"the {fit.law} law needs {', '.join(fit.axes)}: give a mapping of each to values"
            )
        x = {next(iter(fit.axes)): x}
    found = {}
    for role, axis in fit.axes.items():
        if role not in x and axis.column not in x:
            raise FitError(f"where to predict lacks {role!r} ({axis.column}); give it a value")
        found[role] = np.atleast_1d(np.asarray(x[role if role in x else axis.column], dtype=float))
    try:
        arrays = np.broadcast_arrays(*found.values())
    except ValueError as error:
        shapes = ", ".join(f"{role}: {len(values)}" for role, values in found.items())
        raise FitError(f"predictors of different lengths ({shapes}) cannot be paired") from error
    for (role, axis), values in zip(fit.axes.items(), arrays, strict=True):
        zero = role in fit.form.may_be_zero
        for value in values:
            if not (isfinite(value) and (value > 0 or (zero and value == 0))):
                raise FitError(f"cannot predict at {axis.column} = {value:g}; it must be positive")
    return dict(zip(found, arrays, strict=True))


def predict(fit: "Fit", x: Points) -> pd.DataFrame:
    """See `Fit.predict`."""
    points = points_of(fit, x)
    if not fit.determined:
        raise FitError(f"cannot predict {fit.y}: {fit.warnings[0].message}")
    full = fit.internal[None]
    ln_median, jacobian = fit.form.log_value(full, fit.scaled(points))
    mean = ln_median[0] + np.log(fit.y_unit)
    if fit.intervals in {"percentile", "bca"}:
        ends = _from_draws(fit, points, mean)
    elif fit.moments is not None:
        ends = _from_moments(fit, fit.moments, jacobian[0], mean)
    else:
        ends = _from_covariance(fit, jacobian[0], mean)
    return pd.DataFrame(
        {
            **points,
            "median": np.exp(np.minimum(mean, _LARGEST)),
            **dict(zip(_ENDS, ends, strict=True)),
            "decades_from_data": decades_from_data(fit, points),
        }
    )


def decades_from_data(fit: "Fit", points: Mapping[str, Vector]) -> Vector:
    """How far each point is outside the range of the predictor it is furthest outside of."""
    distances = []
    for role, values in points.items():
        axis = fit.axes[role]
        with np.errstate(divide="ignore"):
            below = axis.low / values if axis.low > 0 else np.ones_like(values)
        distances.append(np.maximum(1.0, np.maximum(below, values / axis.high)))
    return np.asarray(np.log10(np.max(distances, axis=0)))


def _from_covariance(fit: "Fit", jacobian: Vector, mean: Vector) -> tuple[Vector, ...]:
    """Student's t about the law, with the covariance propagated to first order."""
    solution = fit.solution
    jacobian = jacobian[[fit.form.names.index(name) for name in solution.estimated]]
    variance = np.einsum("pm,pq,qm->m", jacobian, solution.covariance, jacobian)
    of_law = np.sqrt(np.maximum(variance, 0.0))
    width = quantile(fit.level, solution.degrees_of_freedom)
    low, high = (_exp(mean + sign * width * of_law) for sign in (-1, 1))
    if fit.options.residuals == "log":
        of_run = np.sqrt(of_law**2 + solution.sigma**2)
        return low, high, _exp(mean - width * of_run), _exp(mean + width * of_run)
    of_run = np.sqrt((_exp(mean) * of_law) ** 2 + solution.sigma**2)
    return low, high, _exp(mean) - width * of_run, _exp(mean) + width * of_run


def _from_moments(
    fit: "Fit", moments: Moments, jacobian: Vector, mean: Vector
) -> tuple[Vector, ...]:
    """Wild cluster intervals of a line; a new run's noise has Student's t and adds in squares."""
    ends = np.array([moments.interval(contrast, fit.level) for contrast in jacobian.T])
    ends = ends + np.log(fit.y_unit)
    solution = fit.solution
    noise = quantile(fit.level, solution.degrees_of_freedom) * solution.sigma
    below, above = (np.hypot(end - mean, noise) for end in ends.T)
    with np.errstate(over="ignore"):
        return np.exp(ends[:, 0]), np.exp(ends[:, 1]), np.exp(mean - below), np.exp(mean + above)


def _from_draws(fit: "Fit", points: Mapping[str, Vector], mean: Vector) -> tuple[Vector, ...]:
    """Intervals of the draws; of a new run, after each draw got a noise of its own."""
    from scipy.special import stdtrit  # noqa: PLC0415 - SciPy is not needed to read a fit

    def ln_medians(internal: Vector) -> Vector:
        return np.asarray(fit.form.log_value(internal, fit.scaled(points))[0] + np.log(fit.y_unit))

    sampling = fit.sampling
    low, high = sampling.of_draws(ln_medians, mean)
    of_law = ln_medians(sampling.draws)
    of_law = of_law[np.isfinite(of_law).all(axis=1)]
    n = len(of_law)
    ranks = np.random.default_rng(0).permutation(n)[:, None]
    freedom = fit.solution.degrees_of_freedom
    noise = fit.solution.sigma * stdtrit(freedom, (ranks + 0.5) / n)
    runs = np.exp(of_law + noise) if fit.options.residuals == "log" else np.exp(of_law) + noise
    run_low, run_high = np.quantile(runs, [(1 - fit.level) / 2, (1 + fit.level) / 2], axis=0)
    return _exp(low), _exp(high), run_low, run_high


def _exp(ln_y: Vector) -> Vector:
    return np.asarray(np.exp(np.minimum(ln_y, _LARGEST)))

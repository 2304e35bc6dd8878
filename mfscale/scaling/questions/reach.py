"""Where along one predictor a law reaches an error: the step that all inverse questions share."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite

import numpy as np

from mfscale.scaling.errors import FitError
from mfscale.scaling.result import Fit
from mfscale.scaling.vectors import Vector

_HALVINGS = 34  # of at most some 20 decades: to a part in 10⁸


@dataclass(frozen=True)
class Stretch:
    """A stretch of one predictor, from where the law is high to where it is low.

    Attributes
    ----------
    role
        Of the predictor.
    start, end
        Values; `end` is below `start` if the law rises with the predictor.
    """

    role: str
    start: float
    end: float

    def at(self, place: Vector) -> Vector:
        """The value at a place between 0, the start, and 1, the end; beyond all if infinite."""
        with np.errstate(invalid="ignore", over="ignore"):
            value = self.start * np.exp(place * np.log(self.end / self.start))
        beyond = inf if self.end > self.start else 0.0
        return np.asarray(np.where(np.isinf(place), beyond, value))


def stretch(fit: Fit, role: str, decades: float) -> Stretch:
    """The data's range of a predictor and `decades` on either side."""
    axis = fit.axes[role]
    if axis.low <= 0:
        raise FitError(f"{axis.column} may be 0, so that no ratio of it can be asked for")
    factor = 10.0**decades
    ends = {other: a.reference for other, a in fit.axes.items()}
    first, last = fit.median({**ends, role: [axis.low, axis.high]})
    low, high = axis.low / factor, axis.high * factor
    return Stretch(role, high, low) if last > first else Stretch(role, low, high)


def reach(
    fit: Fit,
    along: Stretch,
    others: Mapping[str, Vector],
    ln_error: float | Vector,
    internal: Vector,
    halvings: int = _HALVINGS,
) -> Vector:
    """Find from which place of a stretch on the law stays at or below an error.

    Parameters
    ----------
    others
        Role → values of the other predictors, each of shape ``(g,)``.
    ln_error
        One, or of shape ``(m, 1)``.
    internal
        Coefficients, ``(m, P)``.
    halvings
        Of the stretch: how exactly places are found.

    Returns
    -------
    Vector
        Places, ``(m, g)``: 0 if already the start suffices, infinite if the end does not.
    """
    given = {role: values / fit.axes[role].reference for role, values in others.items()}
    g = max([len(v) for v in given.values()], default=1)
    values = tuple(v[:, None] for v in fit.form.natural(internal).T)
    unit = fit.axes[along.role].reference
    goal = np.asarray(ln_error) - np.log(fit.y_unit)

    def low_enough(place: Vector) -> Vector:
        x = along.at(place) / unit
        ordered = [x if role == along.role else given[role] for role in fit.axes]
        with np.errstate(all="ignore"):
            y, _ = fit.form.evaluate(*ordered, *values)
            return np.asarray(np.broadcast_to(np.log(y) <= goal, (len(internal), g)))

    bad, good = np.zeros((len(internal), g)), np.ones((len(internal), g))
    at_start, at_end = low_enough(bad), low_enough(good)
    for _ in range(halvings):
        middle = (bad + good) / 2
        enough = low_enough(middle)
        bad, good = np.where(enough, bad, middle), np.where(enough, middle, good)
    return np.where(at_end, np.where(at_start, 0.0, good), inf)


def require_error(error: float, y: str) -> float:
    """Refuse an error that is not positive and finite."""
    if not (isfinite(error) and error > 0):
        raise FitError(f"{y} = {error:g} cannot be reached; ask for an error above 0")
    return error


def require_probability(probability: float) -> float:
    """Refuse a probability outside of 0 to 1."""
    if not 0 < probability < 1:
        raise FitError(f"probability = {probability:g}; give one between 0 and 1, such as 0.9")
    return probability


def require_decades(decades: float) -> float:
    """Refuse a distance from the data that is negative or not finite."""
    if not (isfinite(decades) and decades >= 0):
        raise FitError(f"decades = {decades:g} beyond the data; give 0 or more")
    return decades


def goals(fit: Fit, error: float, noise: Vector | None) -> Vector | float:
    """Ln of what the median must lie below for y to lie below `error`, given the run's noise."""
    if noise is None:
        return float(np.log(error))
    if fit.options.residuals == "log":
        return np.asarray(np.log(error) - noise)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log(np.maximum(error - noise, 0.0)))


def floor_of(fit: Fit) -> tuple[str, float] | None:
    """Name and value of the law's irreducible error, if it has one above 0."""
    for spec in fit.form.coefficients:
        if spec.floor and fit.parameters[spec.name].estimate > 0:
            return spec.name, fit.parameters[spec.name].estimate
    return None

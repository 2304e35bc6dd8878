"""How many labels, or what model size, it takes to reach an error."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite, nan

import numpy as np

from mfscale.scaling.cautions import FitWarning
from mfscale.scaling.errors import FitError
from mfscale.scaling.numerals import format_interval, format_number, format_percent
from mfscale.scaling.questions.belief import belief, noise
from mfscale.scaling.questions.reach import (
    floor_of,
    goals,
    reach,
    require_error,
    require_probability,
    stretch,
)
from mfscale.scaling.result import Fit
from mfscale.scaling.rows import Scalar

FURTHEST = 6.0
"""Decades beyond the data up to which an answer is looked for; further is called not reachable."""


@dataclass(frozen=True, kw_only=True)
class Inverse:
    """The value of a predictor at which a law reaches an error.

    Attributes
    ----------
    column, y, error, group
        What was asked of which fit.
    at
        Column → value of the other predictors.
    estimate
        Where the median of y reaches the error, by the best estimate of the law; infinite (0 if y
        rises with the predictor) if it never does.
    low, high, level
        Interval of that place; an end is infinite if the law may never reach the error.
    suffices, probability, new_run
        The value at which y is at or below the error with this probability: the *median* of y, or
        one new run of a new cluster.
    reachable
        Probability that any value reaches the error.
    decades_from_data
        Of `suffices`, or of `estimate` if that is not reachable.
    warnings
        Of the fit, and for extrapolation.
    """

    column: str
    y: str
    error: float
    group: dict[str, Scalar]
    at: dict[str, float]
    estimate: float
    low: float
    high: float
    level: float
    suffices: float
    probability: float
    new_run: bool
    reachable: float
    decades_from_data: float
    warnings: tuple[FitWarning, ...]

    @property
    def found(self) -> bool:
        """Whether the best estimate reaches the error at all."""
        return isfinite(self.estimate) and self.estimate > 0

    def __str__(self) -> str:
        what = "a new run" if self.new_run else f"the median {self.y}"
        if not self.found:
            return f"{self.y} = {format_number(self.error)} is not reachable by {self.column}"
        suffices = (
            f"{self.column} = {format_number(self.suffices)} suffices for {what}"
            if isfinite(self.suffices) and self.suffices > 0
            else f"no {self.column} suffices for {what}"
        )
        return (
            f"{self.y} = {format_number(self.error)} needs {self.column} = "
            f"{format_number(self.estimate)} ({format_percent(self.level)} interval "
            f"{format_interval(self.low, self.high)}); with probability "
            f"{format_number(self.probability)}, {suffices}"
        )


def invert(
    fit: Fit,
    error: float,
    *,
    of: str | None = None,
    at: Mapping[str, float] | None = None,
    probability: float = 0.9,
    new_run: bool = False,
) -> Inverse:
    """Ask where a law reaches an error.

    Parameters
    ----------
    fit
        A law of one predictor, or of several of which all but one are given in `at`.
    error
        In the unit of y.
    of
        Role or column of the predictor asked for; by default the one that `at` lacks.
    at
        Role or column → value.
    probability
        With which the answer `suffices`.
    new_run
        Whether a new run is to lie below the error with that probability, not only the law's
        median.

    Raises
    ------
    FitError
        For an error that is not positive, a probability outside of 0 to 1, a predictor that is
        missing, or a law that the data did not determine.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from mfscale.scaling import fit, invert
    >>> noise = np.exp(0.02 * np.sin(np.arange(6.0) ** 2))
    >>> labels = np.array([10, 20, 40, 80, 160, 320])
    >>> table = pd.DataFrame({"labels": labels, "mae": 80 * labels**-0.5 * noise})
    >>> [law] = fit(table, "power", x="labels", y="mae")
    >>> answer = invert(law, 2.0)  # 80 · 1600^−0.5 = 2
    >>> 1500 < answer.estimate < answer.suffices < 2000
    True
    >>> [warning.code for warning in answer.warnings]
    ['extrapolation']
    """
    require_error(error, fit.y)
    require_probability(probability)
    role, given = _asked(fit, of, at or {})
    known = belief(fit)
    along = stretch(fit, role, FURTHEST)
    others = {other: np.array([value]) for other, value in given.items()}
    of_estimate = reach(fit, along, others, float(np.log(error)), fit.internal[None])
    estimate = float(along.at(of_estimate)[0, 0])
    low, high, suffices, reachable = nan, nan, nan, nan
    if len(known.draws):
        places = reach(fit, along, others, float(np.log(error)), known.draws)
        ends = [known.quantile(places, (1 + sign * fit.level) / 2) for sign in (-1, 1)]
        low, high = sorted(float(along.at(end)[0]) for end in ends)
        if new_run:
            places = reach(fit, along, others, goals(fit, error, noise(fit, known)), known.draws)
        suffices = float(along.at(known.quantile(places, probability))[0])
        reachable = float(known.probability(np.isfinite(places).mean(axis=0))[0])
    asked = next((v for v in (suffices, estimate) if isfinite(v) and v > 0), None)
    decades, warnings = inf, fit.warnings
    if asked is not None:
        point = {**given, role: asked}
        decades = float(fit.predict(point)["decades_from_data"].iloc[0])
        warnings = fit.warnings_at(point)
    return Inverse(
        column=fit.axes[role].column,
        y=fit.y,
        error=error,
        group=fit.group,
        at={fit.axes[other].column: value for other, value in given.items()},
        estimate=estimate,
        low=low,
        high=high,
        level=fit.level,
        suffices=suffices,
        probability=probability,
        new_run=new_run,
        reachable=reachable,
        decades_from_data=decades,
        warnings=(*warnings, *_unreachable(fit, error, estimate)),
    )


def _unreachable(fit: Fit, error: float, estimate: float) -> tuple[FitWarning, ...]:
    if isfinite(estimate) and estimate > 0:
        return ()
    floor = floor_of(fit)
    if floor and error <= floor[1]:
        why = f"the irreducible error {floor[0]} is {format_number(floor[1])}"
    else:
        why = f"the law stays above it for {FURTHEST:g} decades beyond the data"
    message = f"{fit.y} = {format_number(error)} is not reachable: {why}"
    return (FitWarning("not-reachable", message),)


def _asked(fit: Fit, of: str | None, at: Mapping[str, float]) -> tuple[str, dict[str, float]]:
    """The role asked for, and the values of all others by role."""
    columns = {axis.column: role for role, axis in fit.axes.items()}
    roles = {**columns, **{role: role for role in fit.axes}}
    for name in (*at, *([of] if of else [])):
        if name not in roles:
            raise FitError(
                f"the {fit.law} law has no predictor {name!r}; it has {', '.join(columns)}"
            )
    given = {roles[name]: float(value) for name, value in at.items()}
    wanted = [roles[of]] if of else [role for role in fit.axes if role not in given]
    missing = [role for role in fit.axes if role not in given and role not in wanted]
    if len(wanted) != 1 or missing or wanted[0] in given:
        raise FitError(
            f"the {fit.law} law is of {', '.join(columns)}: give a value to all of them but the "
            "one that is asked for"
        )
    return wanted[0], given

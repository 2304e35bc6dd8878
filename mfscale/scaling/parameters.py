"""Coefficients as a report gives them: in the units of the data, with errors and intervals."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import nan
from typing import Literal

import numpy as np

from mfscale.scaling.bootstrap import interval
from mfscale.scaling.laws import Law, Scale
from mfscale.scaling.regression import quantile
from mfscale.scaling.solution import Solution
from mfscale.scaling.vectors import Vector
from mfscale.scaling.wild import Moments

IntervalMethod = Literal["none", "t", "wild", "percentile", "bca"]

_STEP = 1e-5  # of a derived quantity's gradient: central differences, in units of order one
_LARGEST = 700.0  # short of overflow of the exponential: an interval can be that wide


@dataclass(frozen=True)
class Parameter:
    """A number of a law: its estimate, standard error, interval and meaning.

    NaN stands for what the data cannot determine; a coefficient that was held has no error.
    """

    estimate: float
    standard_error: float
    low: float
    high: float
    note: str


@dataclass(frozen=True)
class Sampling:
    """What intervals are read from.

    Attributes
    ----------
    method, level
        Which interval.
    draws
        Internal coefficients, all of the law, shape ``(n_draws, P)``.
    left_out
        Likewise without each cluster, ``(G, P)``.
    freedom
        Degrees of freedom of Student's t.
    moments
        Of a straight line, for wild cluster intervals; otherwise None.
    """

    method: IntervalMethod
    level: float
    draws: Vector
    left_out: Vector
    freedom: int
    moments: Moments | None = None

    def of_draws(
        self, function: Callable[[Vector], Vector], estimate: Vector
    ) -> tuple[Vector, Vector]:
        """Interval of a function of internal coefficients, ``(m, P)`` → ``(m, k)``."""
        bca = self.method == "bca"
        return interval(
            function(self.draws),
            self.level,
            len(self.left_out),
            freedom=self.freedom,
            estimate=estimate if bca else None,
            left_out=function(self.left_out) if bca else None,
        )


def report_parameters(
    law: Law,
    scale: Scale,
    solution: Solution,
    full: Vector,
    sampling: Sampling,
    profiles: Mapping[str, tuple[float, float]],
) -> dict[str, Parameter]:
    """Every coefficient and derived quantity.

    Parameters
    ----------
    full
        All internal coefficients, shape ``(P,)``.
    profiles
        Coefficient → scaled interval from its profile likelihood, which goes before any other.
    """
    places = [law.names.index(name) for name in solution.estimated]
    errors = np.zeros(len(full))
    errors[places] = np.sqrt(np.maximum(np.diag(solution.covariance), 0.0))
    at_bound = [law.names.index(name) for name in solution.search.at_bound]
    errors[at_bound] = nan
    low, high = _ends(solution, full, errors, sampling)
    values, lows, highs = (
        law.reported(np.where(np.isinf(end), end, np.minimum(end, _LARGEST)), scale)
        for end in (full, low, high)
    )
    found = {}
    for place, spec in enumerate(law.coefficients):
        factor, shift = scale.factor_and_shift(spec)
        held = place not in places
        by = values[place] if spec.positive else factor
        ends = (float(lows[place]), float(highs[place]))
        if spec.name in profiles:
            a, b = profiles[spec.name]
            ends = (a * factor + shift, b * factor + shift)
        found[spec.name] = Parameter(
            float(values[place]),
            0.0 if held else float(by * errors[place]),
            *((float(values[place]),) * 2 if held else ends),
            "held" if held else spec.meaning,
        )
    for name, (meaning, _) in law.derived.items():
        found[name] = _derived(law, scale, solution, full, sampling, name, meaning)
    return found


def _ends(
    solution: Solution, full: Vector, errors: Vector, sampling: Sampling
) -> tuple[Vector, Vector]:
    if sampling.method == "none":
        return np.full_like(full, nan), np.full_like(full, nan)
    if sampling.moments is not None:
        each = [sampling.moments.interval(row, sampling.level) for row in np.eye(len(full))]
        return np.array(each)[:, 0], np.array(each)[:, 1]
    if sampling.method == "t":
        width = quantile(sampling.level, solution.degrees_of_freedom) * errors
        return full - width, full + width
    return sampling.of_draws(lambda internal: internal, full)


def _derived(
    law: Law,
    scale: Scale,
    solution: Solution,
    full: Vector,
    sampling: Sampling,
    name: str,
    meaning: str,
) -> Parameter:
    places = [law.names.index(each) for each in solution.estimated]

    def value(internal: Vector) -> Vector:
        reported = dict(zip(law.names, law.reported(internal, scale).T, strict=True))
        references = {f"{role}0": at for role, at in scale.references.items()}
        return np.asarray(law.derived[name][1](**reported, **references))[:, None]

    estimate = float(value(full[None])[0, 0])
    steps = np.zeros((len(places), len(full)))
    steps[range(len(places)), places] = _STEP
    gradient = (value(full + steps) - value(full - steps))[:, 0] / (2 * _STEP)
    error = max(float(gradient @ solution.covariance @ gradient), 0.0) ** 0.5
    if sampling.method == "none":
        return Parameter(estimate, error, nan, nan, meaning)
    if sampling.moments is not None:
        shift = estimate - float(gradient @ sampling.moments.beta)
        a, b = sampling.moments.interval(gradient, sampling.level)
        return Parameter(estimate, error, shift + a, shift + b, meaning)
    if sampling.method == "t":
        width = quantile(sampling.level, solution.degrees_of_freedom) * error
        return Parameter(estimate, error, estimate - width, estimate + width, meaning)
    low, high = sampling.of_draws(value, np.array([estimate]))
    return Parameter(estimate, error, float(low[0]), float(high[0]), meaning)

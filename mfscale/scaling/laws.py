"""The laws on offer: their formulas, and their parameters read off a line in logarithms.

Both are straight lines, ln y = intercept + slope · (ln x − ln reference), where the reference is
the geometric mean of x: away from it, amplitude and exponent correlate almost perfectly and
neither means much alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, isnan, nan, sqrt

import numpy as np

from mfscale.scaling.errors import FitError
from mfscale.scaling.regression import Line, quantile, standard_error


@dataclass(frozen=True)
class Parameter:
    """A number of a law: its estimate, standard error, interval and meaning.

    NaN stands for what the data cannot determine.
    """

    estimate: float
    standard_error: float
    low: float
    high: float
    note: str


@dataclass(frozen=True)
class Law:
    """A relation between x and y.

    Attributes
    ----------
    name
        As asked for.
    formula
        With ``{x}``, ``{y}`` and ``{reference}`` to fill in.
    change
        The factor on x that the law's sentence speaks of: 2 for doubling, 0.5 for halving.
    parameters
        Line, level of the intervals → name → parameter.
    """

    name: str
    formula: str
    change: float
    parameters: Callable[[Line, float], dict[str, Parameter]]


def law_named(name: str) -> Law:
    """Find a law.

    Raises
    ------
    FitError
        For a name that is not one of `LAWS`.
    """
    if name not in LAWS:
        raise FitError(f"there is no law {name!r}; choose one of {', '.join(sorted(LAWS))}")
    return LAWS[name]


def _power(line: Line, level: float) -> dict[str, Parameter]:
    width = quantile(level, line.degrees_of_freedom)
    slope = _parameter(line.slope, _se(line, "slope"), width, "")
    return {
        "exponent": Parameter(
            -slope.estimate, slope.standard_error, -slope.high, -slope.low, "y falls as x^−exponent"
        ),
        "amplitude": _exponential(
            _parameter(line.intercept, _se(line, "centre"), width, "median y at x = reference")
        ),
    }


def _log_line(line: Line, level: float) -> dict[str, Parameter]:
    width = quantile(level, line.degrees_of_freedom)
    at_one = line.intercept - line.slope * line.centre
    return {
        "slope": _parameter(line.slope, _se(line, "slope"), width, "change of ln y with ln x"),
        "intercept": _parameter(at_one, _se(line, "one"), width, "ln y at x = 1"),
        "intercept_at_reference": _parameter(
            line.intercept, _se(line, "centre"), width, "ln y at x = reference"
        ),
    }


def bounded_exp(value: float) -> float:
    """The exponential, short of overflow: an interval from few clusters can be that wide."""
    return exp(min(value, 700.0))


LAWS = {
    "power": Law(
        name="power",
        formula="{y} = amplitude · ({x} / {reference})^−exponent",
        change=2.0,
        parameters=_power,
    ),
    "line": Law(
        name="line",
        formula="ln {y} = intercept + slope · ln {x}",
        change=0.5,
        parameters=_log_line,
    ),
}


def _se(line: Line, what: str) -> float:
    """Standard error of the slope, or of the line's height at its centre or at x = 1 (ln x = 0)."""
    if what == "slope":
        variance = line.covariance[1][1]
        return nan if isnan(variance) else sqrt(variance)
    distance = 0.0 if what == "centre" else -line.centre
    return float(standard_error(line.covariance, np.array([distance]))[0])


def _parameter(estimate: float, error: float, width: float, note: str) -> Parameter:
    return Parameter(estimate, error, estimate - width * error, estimate + width * error, note)


def _exponential(log: Parameter) -> Parameter:
    """The exponential of a normal parameter; its standard error by the delta method."""
    return Parameter(
        exp(log.estimate),
        exp(log.estimate) * log.standard_error,
        exp(log.low),
        bounded_exp(log.high),
        log.note,
    )

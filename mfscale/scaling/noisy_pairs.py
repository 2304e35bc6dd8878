"""A straight line through pairs that are noisy in both x and y, with correlated errors.

Least squares of y on a noisy x finds too flat a line: its slope is attenuated by the *reliability*
of x, the share of the variance of x that is not noise. York's line weighs each point by both errors
(D. York, N. M. Evensen, M. López Martínez & J. De Basabe Delgado, *Am. J. Phys.* 72, 367, 2004,
eqs 13a to 13g); its standard errors follow from the stated ones and are *not* scaled by χ².
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import nan, sqrt

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from mfscale.scaling.cautions import FitWarning
from mfscale.scaling.errors import FitError
from mfscale.scaling.numerals import format_interval, format_number, format_percent
from mfscale.scaling.regression import quantile
from mfscale.scaling.rows import Columns, Exclusion, Rows, Scalar, rows_by_group
from mfscale.scaling.vectors import Vector

_STEPS, _TOLERANCE = 500, 1e-14
_EXCESS_P = 0.05
_UNRELIABLE = 0.5
_NOISY_X = 0.9  # least squares then finds nine tenths of the slope, or less
_FEW_REPLICATES = 10  # degrees of freedom: with fewer, the noise is known to no better than 22%


@dataclass(frozen=True, kw_only=True)
class YorkLine:
    """The line y = intercept + slope · x through n pairs, noisy in both.

    Attributes
    ----------
    slope, intercept
        York's estimates.
    slope_se, intercept_se
        Their standard errors, from the stated errors alone (not scaled by χ²).
    low, high
        Interval of the slope. Of the normal distribution; but where the pairs scatter more than
        their errors allow (``excess-scatter``) the standard error is scaled by √(χ²/freedom), and
        the interval Student's.
    chi_squared, degrees_of_freedom, p_value
        Of the misfit: a small p says that the pairs scatter more than their errors allow.
    reliability
        Share of the variance of x that is not noise; 1 for an exact x.
    ols_slope
        What least squares of y on x would have found.
    n_points, level
        Pairs; of the interval.
    x, y, group
        Columns, and the values that the pairs share; ``ln x`` and ``ln y`` are what the line is of
        if it is from a table.
    exclusions, warnings
        Rows left out, and what a reader must know.
    """

    slope: float
    intercept: float
    slope_se: float
    intercept_se: float
    low: float
    high: float
    chi_squared: float
    degrees_of_freedom: int
    p_value: float
    reliability: float
    ols_slope: float
    n_points: int
    level: float
    x: str = "x"
    y: str = "y"
    group: dict[str, Scalar] = field(default_factory=dict)
    exclusions: tuple[Exclusion, ...] = ()
    warnings: tuple[FitWarning, ...] = ()

    def __str__(self) -> str:
        group = ", ".join(f"{column} = {value}" for column, value in self.group.items())
        heading = f"{self.y} = intercept + slope · {self.x}, both noisy (York's line)"
        slope, intercept = (format_number(v, 4) for v in (self.slope, self.intercept))
        errors = [format_number(v, 2) for v in (self.slope_se, self.intercept_se)]
        level, ends = format_percent(self.level), format_interval(self.low, self.high)
        chi_squared, p_value = format_number(self.chi_squared), format_number(self.p_value, 2)
        body = {
            "slope": f"{slope} ± {errors[0]} ({level} interval {ends})",
            "intercept": f"{intercept} ± {errors[1]} (standard errors are not scaled by χ²)",
            "misfit": f"χ² = {chi_squared}, {self.degrees_of_freedom} degrees of freedom, "
            f"p = {p_value}",
            "reliability": f"{format_number(self.reliability)} of the variance of {self.x} is not "
            f"noise; least squares, which ignores the rest, has slope "
            f"{format_number(self.ols_slope, 4)}",
            "pairs": str(self.n_points),
        }
        return "\n".join(
            [
                f"{group}: {heading}" if group else heading,
                *(f"  {label:<11}  {text}" for label, text in body.items()),
                *(f"  {warning.code}: {warning.message}" for warning in self.warnings),
                *(f"  excluded {each.row}: {each.reason}" for each in self.exclusions),
            ]
        )


def york(
    x: ArrayLike,
    y: ArrayLike,
    *,
    x_sd: ArrayLike,
    y_sd: ArrayLike,
    correlation: ArrayLike = 0.0,
    level: float = 0.95,
) -> YorkLine:
    """Fit York's line to pairs with known errors.

    Parameters
    ----------
    x, y
        At least three finite pairs, shape ``(n,)``.
    x_sd, y_sd
        Standard deviations of their errors, above 0; shape ``(n,)``, or one number for all.
    correlation
        Of the two errors of a pair, between −1 and 1; likewise.
    level
        Of the interval, as a fraction.

    Raises
    ------
    FitError
        For other numbers than these, an x without spread, or no convergence.

    Examples
    --------
    >>> line = york([0, 1, 2, 3], [0.1, 0.9, 2.1, 2.9], x_sd=0.1, y_sd=0.1)
    >>> round(line.slope, 3), round(line.slope_se, 3)
    (0.963, 0.062)
    """
    if not 0 < level < 1:
        raise FitError(f"level = {level:g}; give a fraction between 0 and 1, such as 0.95")
    x, y, x_sd, y_sd, correlation = _checked(x, y, x_sd, y_sd, correlation)
    n = len(x)
    spread = float(np.var(x, ddof=1))
    ols = float(np.cov(x, y)[0, 1] / spread)
    slope, weights, adjusted = _iterate(x, y, x_sd, y_sd, correlation, start=ols)
    centre_x, centre_y = (float(np.average(v, weights=weights)) for v in (x, y))
    intercept = centre_y - slope * centre_x
    at = centre_x + adjusted  # the pairs' places on the line
    mean = float(np.average(at, weights=weights))
    slope_se = 1 / sqrt(float(np.sum(weights * (at - mean) ** 2)))
    intercept_se = sqrt(1 / float(weights.sum()) + (mean * slope_se) ** 2)
    chi_squared = float(np.sum(weights * (y - intercept - slope * x) ** 2))
    from scipy.special import chdtrc, ndtri  # noqa: PLC0415 - SciPy is not needed to read a line

    freedom = n - 2
    p_value = float(chdtrc(freedom, chi_squared))
    width = float(ndtri((1 + level) / 2)) * slope_se
    if p_value < _EXCESS_P:
        width = quantile(level, freedom) * slope_se * sqrt(max(chi_squared / freedom, 1.0))
    reliability = max(1 - float(np.mean(x_sd**2)) / spread, 0.0)
    return YorkLine(
        slope=slope,
        intercept=intercept,
        slope_se=slope_se,
        intercept_se=intercept_se,
        low=slope - width,
        high=slope + width,
        chi_squared=chi_squared,
        degrees_of_freedom=freedom,
        p_value=p_value,
        reliability=reliability,
        ols_slope=ols,
        n_points=n,
        level=level,
        warnings=_cautions(p_value, reliability),
    )


def york_lines(
    frame: pd.DataFrame,
    *,
    x: str,
    y: str,
    replicate: Sequence[str] | str,
    group: Sequence[str] | str | None = None,
    cluster: str | None = None,
    level: float = 0.95,
) -> list[YorkLine]:
    """Fit ln y against ln x, with the noise of both taken from replicates.

    Each pair is the mean of one *setting*: runs that are alike but for their seeds. How pairs
    scatter within settings, pooled over all of a group, is the covariance of the noise.

    Parameters
    ----------
    frame, x, y, group, level
        As in `fit`.
    replicate
        Column or columns that name the setting: the rows of one are replicates.
    cluster
        Column of the pre-trained checkpoint; rows of one checkpoint are averaged first, since they
        share its x. Without it every row is a replicate.

    Returns
    -------
    list of YorkLine
        One per group, in natural order.

    Raises
    ------
    FitError
        As in `fit`, and for a group without three settings or without replicates.
    """
    group = (group,) if isinstance(group, str) else tuple(group or ())
    replicate = (replicate,) if isinstance(replicate, str) else tuple(replicate)
    columns = Columns({"x": x}, y, (*group, *replicate), cluster)
    settings: dict[tuple[Scalar, ...], list[Rows]] = {}
    for rows in rows_by_group(frame, columns):
        key = tuple(rows.group[column] for column in group)
        settings.setdefault(key, []).append(rows)
    return [
        _of_settings(dict(zip(group, key, strict=True)), found, columns, level)
        for key, found in settings.items()
    ]


def noisy_x(
    frame: pd.DataFrame,
    *,
    x: str,
    y: str,
    replicate: Sequence[str] | str,
    cluster: str | None = None,
) -> FitWarning | None:
    """Whether so much of x is noise that the least-squares slope of these rows is not the relation.

    Parameters
    ----------
    frame, x, y, replicate, cluster
        Of one group, as in `york_lines`.

    Returns
    -------
    FitWarning or None
        ``noisy-x``, with the reliability of ln x (the share of its variance over checkpoints that
        is not within settings), if that is below 0.9; None too where there are no replicates.
    """
    replicate = (replicate,) if isinstance(replicate, str) else tuple(replicate)
    settings = rows_by_group(frame, Columns({"x": x}, y, replicate, cluster))
    logs = [_checkpoints(rows)[:, 0] for rows in settings if len(rows.y)]
    every = np.concatenate(logs) if logs else np.empty(0)
    freedom = len(every) - len(logs)
    if freedom < 2 or not np.ptp(every) > 0:
        return None
    noise = sum(float(np.sum((each - each.mean()) ** 2)) for each in logs) / freedom
    reliability = max(1 - noise / float(np.var(every, ddof=1)), 0.0)
    if reliability >= _NOISY_X:
        return None
    remedy = (
        "York's line finds it (york_lines, fit --law line --york)"
        if len(logs) >= 3
        else "with three settings York's line would find it"
    )
    return FitWarning(
        "noisy-x",
        f"the reliability of {x} is {format_number(reliability, 2)}: the rest of its variance is "
        f"between replicates ({freedom} beyond the first of {len(logs)} settings); this slope "
        f"foretells y from an observed x, and is not that of the relation behind: {remedy}",
    )


def _of_settings(
    group: dict[str, Scalar], settings: list[Rows], columns: Columns, level: float
) -> YorkLine:
    pairs = [_checkpoints(rows) for rows in settings if len(rows.y)]
    freedom = sum(len(each) - 1 for each in pairs)
    where = f" of {group}" if group else ""
    if len(pairs) < 3 or freedom < 2:
        raise FitError(
            f"York's line{where} needs three settings and replicates of them to know the noise; "
            f"there are {len(pairs)} settings with {freedom} replicates beyond the first"
        )
    inside = np.concatenate([each - each.mean(axis=0) for each in pairs])
    noise = inside.T @ inside / freedom
    if not (np.diag(noise) > 0).all():
        raise FitError(f"the replicates{where} do not differ at all: their noise is unknown")
    counts = np.array([len(each) for each in pairs])
    means = np.array([each.mean(axis=0) for each in pairs])
    sd = np.sqrt(np.diag(noise) / counts[:, None])
    correlation = np.clip(noise[0, 1] / sqrt(noise[0, 0] * noise[1, 1]), -0.999, 0.999)
    line = york(*means.T, x_sd=sd[:, 0], y_sd=sd[:, 1], correlation=float(correlation), level=level)
    few = FitWarning(
        "few-replicates",
        f"the noise is estimated from {freedom} replicates beyond the first of each setting: "
        "the line's standard errors are as uncertain",
    )
    return replace(
        line,
        x=f"ln {columns.predictors['x']}",
        y=f"ln {columns.y}",
        group=group,
        exclusions=tuple(each for rows in settings for each in rows.exclusions),
        warnings=(*line.warnings, *([few] if freedom < _FEW_REPLICATES else [])),
    )


def _checkpoints(rows: Rows) -> Vector:
    """Means of (ln x, ln y) of each cluster, shape ``(G, 2)``."""
    counts = np.bincount(rows.clusters)
    logs = (np.log(rows.predictors["x"]), np.log(rows.y))
    return np.column_stack([np.bincount(rows.clusters, v) / counts for v in logs])


def _checked(*given: ArrayLike) -> tuple[Vector, ...]:
    try:
        arrays = np.broadcast_arrays(*(np.asarray(v, dtype=float) for v in given))
    except ValueError as error:
        raise FitError(f"York's line: {error}") from error
    x, _, x_sd, y_sd, correlation = arrays
    if x.ndim != 1 or len(x) < 3:
        raise FitError("York's line needs at least three pairs")
    if not all(np.isfinite(v).all() for v in arrays):
        raise FitError("York's line: every number must be finite; leave the other pairs out")
    if not ((x_sd > 0).all() and (y_sd > 0).all() and (np.abs(correlation) < 1).all()):
        raise FitError(
            "York's line: standard deviations must be above 0, correlations between −1 and 1"
        )
    if np.ptp(x) == 0:
        raise FitError("York's line: all x are the same; add another value")
    return tuple(arrays)


def _iterate(
    x: Vector, y: Vector, x_sd: Vector, y_sd: Vector, correlation: Vector, *, start: float
) -> tuple[float, Vector, Vector]:
    """The slope, the weights of the pairs and their places along x from the weighted centre."""
    slope = start
    for _ in range(_STEPS):
        weights = 1 / (
            y_sd**2 + (slope * x_sd) ** 2 - 2 * slope * correlation * x_sd * y_sd
        )  # York's W, with his ω = 1/sd²
        u, v = (values - np.average(values, weights=weights) for values in (x, y))
        adjusted = weights * (
            u * y_sd**2 + slope * v * x_sd**2 - (slope * u + v) * correlation * x_sd * y_sd
        )
        below = float(np.sum(weights * adjusted * u))
        new = float(np.sum(weights * adjusted * v)) / below if below else nan
        if abs(new - slope) <= _TOLERANCE * max(abs(new), 1e-300):
            return new, weights, adjusted
        slope = new
    if not np.isfinite(slope) or abs(new - slope) > 1e-8 * abs(new):
        raise FitError(
            "York's line does not settle: the noise of x leaves no trend; add pairs further apart"
        )
    return slope, weights, adjusted


def _cautions(p_value: float, reliability: float) -> tuple[FitWarning, ...]:
    found = []
    if p_value < _EXCESS_P:
        found.append(
            FitWarning(
                "excess-scatter",
                f"the pairs scatter more than their errors allow (p = {p_value:.2g}): the errors "
                "are too small or the law is not a line; the interval is scaled by √(χ²/freedom)",
            )
        )
    if reliability < _UNRELIABLE:
        found.append(
            FitWarning(
                "unreliable-x",
                f"only {reliability:.0%} of the variance of x is not noise: the slope rests on "
                "the noise being known",
            )
        )
    return tuple(found)

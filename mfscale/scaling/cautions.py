"""Typed warnings: what a reader must know before trusting a fit."""

from dataclasses import dataclass
from math import isnan

from mfscale.scaling.covariance import FEW_CLUSTERS, FEWEST_CLUSTERS
from mfscale.scaling.regression import Line, half_width, is_determined

FEW_FREEDOM = 3  # with fewer, the 95% interval of sigma itself spans more than a factor of ten
LACK_OF_FIT_P = 0.05


@dataclass(frozen=True)
class FitWarning:
    """One caution.

    Attributes
    ----------
    code
        What kind: ``no-rows`` (nothing usable), ``single-x`` (one value of x, so no law),
        ``few-points``, ``few-clusters``, ``one-cluster`` (without one cluster there would be no
        slope), ``no-trend`` (the slope's interval includes 0), ``lack-of-fit`` (replicates show
        that the law's form is wrong), ``extrapolation`` (asked for beyond the data). Whoever
        knows more of the rows than x and y may add a code of their own to ``Fit.warnings``.
    message
        A sentence with the numbers.
    """

    code: str
    message: str


def cautions(
    line: Line, *, x: str, cluster: str | None, level: float, lack: float
) -> tuple[FitWarning, ...]:
    """Every warning that a fitted line deserves.

    Parameters
    ----------
    line
        In logarithms.
    x, cluster
        Names of the columns.
    level
        Of the intervals.
    lack
        P-value of the lack-of-fit test, or NaN.
    """
    if line.n_points == 0:
        return (FitWarning("no-rows", "no row has a usable x and y"),)
    if not is_determined(line):
        rows = "one row" if line.n_points == 1 else f"{line.n_points} rows"
        return (
            FitWarning(
                "single-x",
                f"{rows} with only one value of {x} cannot determine a law; add another value",
            ),
        )
    found = [_replication(line, cluster)]
    if abs(line.slope) <= half_width(line, level):
        found.append(
            FitWarning(
                "no-trend", f"the {level:.0%} interval of the slope includes 0: no trend shown"
            )
        )
    if lack < LACK_OF_FIT_P:
        found.append(
            FitWarning(
                "lack-of-fit",
                f"replicates scatter less than the law misses their means (F-test p = {lack:.2g}): "
                "the law's form is doubtful here",
            )
        )
    return tuple(warning for warning in found if warning is not None)


def _replication(line: Line, cluster: str | None) -> FitWarning | None:
    return _few_points(line) if line.n_clusters == line.n_points else _few_clusters(line, cluster)


def _few_points(line: Line) -> FitWarning | None:
    freedom = line.n_points - 2
    if freedom >= FEW_FREEDOM:
        return None
    end = "no interval can be given" if freedom == 0 else "the intervals are very wide"
    return FitWarning("few-points", f"only {line.n_points} independent rows: {end}")


def _few_clusters(line: Line, cluster: str | None) -> FitWarning | None:
    if line.n_clusters == 1:
        return FitWarning(
            "few-clusters",
            f"all {line.n_points} rows share one {cluster}: nothing is known of how another would "
            "differ, so no interval is given",
        )
    if line.n_clusters < FEWEST_CLUSTERS:
        return FitWarning(
            "few-clusters",
            f"only {line.n_clusters} independent clusters ({cluster}): too few to tell chance "
            "agreement from certainty, so no interval is given; add a third",
        )
    if isnan(line.covariance[1][1]):
        return FitWarning(
            "one-cluster",
            f"the slope rests on one {cluster} alone: nothing is known of how another would "
            "differ, so no interval is given",
        )
    if line.n_clusters < FEW_CLUSTERS:
        return FitWarning(
            "few-clusters",
            f"only {line.n_clusters} independent clusters ({cluster}), fewer than {FEW_CLUSTERS}: "
            "the intervals are wide and approximate",
        )
    return None


def extrapolation(x: str, value: float, decades: float, x_range: tuple[float, float]) -> FitWarning:
    """The warning that a prediction lies beyond the data."""
    low, high = x_range
    return FitWarning(
        "extrapolation",
        f"{x} = {value:g} lies {decades:.2f} decades beyond the data ({low:g} to {high:g}); "
        "the intervals assume that the law still holds there",
    )

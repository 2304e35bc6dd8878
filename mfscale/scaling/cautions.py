"""Typed warnings: what a reader must know before trusting a fit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mfscale.scaling.covariance import FEW_CLUSTERS, FEWEST_CLUSTERS
from mfscale.scaling.solution import Solution
from mfscale.scaling.vectors import Vector

if TYPE_CHECKING:
    from mfscale.scaling.laws import Law
    from mfscale.scaling.parameters import Parameter
    from mfscale.scaling.rows import Rows

FEW_FREEDOM = 3  # with fewer, the 95% interval of sigma itself spans more than a factor of ten
LACK_OF_FIT_P = 0.05
INFLUENCE_P = 0.01
COLLINEAR = 10.0  # variance inflation: a tenth of a predictor's variation is its own
ILL_CONDITIONED = 1e4  # some combination of coefficients is known 10⁴ times worse than another
LOST_DRAWS = 0.05
MOST_LOST_DRAWS = 0.5  # beyond this no interval is read from the rest
NO_SCATTER = 1e-9  # of ln y: below what any measured error has, above what rounding leaves


@dataclass(frozen=True)
class FitWarning:
    """One caution.

    Attributes
    ----------
    code
        What kind. Of the data: ``no-rows`` (nothing usable), ``single-x`` (one value of a
        predictor, so no law), ``too-few-x`` (fewer different points than coefficients),
        ``few-points``, ``few-clusters``, ``one-cluster`` (without one cluster there would be no
        estimate), ``influential-cluster`` (one carries most of the uncertainty), ``collinear``
        (predictors that vary together), ``negative-transfer`` (rows where pre-training hurt, which
        the law of effective data cannot hold), ``noisy-x`` (much of what varies in x is noise),
        ``no-scatter`` (rows that lie on the law exactly). Of the law: ``no-trend`` (the slope's
        interval includes 0), ``lack-of-fit`` (replicates show that its form is wrong),
        ``unidentified`` (a coefficient that the data do not determine), ``at-bound``. Of the
        search: ``not-converged``, ``disagreeing-starts``, ``lost-draws``. Of a prediction:
        ``extrapolation``. Whoever knows more of the rows than x and y may add a code of their own
        to ``Fit.warnings``.
    message
        A sentence with the numbers.
    """

    code: str
    message: str


def undetermined(
    law: "Law", rows: "Rows", estimated: int, x: Mapping[str, str]
) -> FitWarning | None:
    """Why the rows do not determine the law; None if they do."""
    n = len(rows.y)
    if n == 0:
        return FitWarning("no-rows", "no row has a usable x and y")
    for role, values in rows.predictors.items():
        if len(np.unique(values)) < 2:
            lines = "one row" if n == 1 else f"{n} rows"
            return FitWarning(
                "single-x",
                f"{lines} with only one value of {x[role]} cannot determine a law; "
                "add another value",
            )
    points = len(np.unique(np.column_stack(list(rows.predictors.values())), axis=0))
    if points < estimated:
        return FitWarning(
            "too-few-x",
            f"{estimated} coefficients of the {law.name} law need at least as many different "
            f"values of {', '.join(x.values())}; there are {points}",
        )
    return None


def cautions(
    solution: Solution, *, cluster: str | None, level: float, slope: "Parameter | None", lack: float
) -> list[FitWarning]:
    """Warnings that any fit may deserve.

    Parameters
    ----------
    cluster
        Name of the column, or None.
    slope
        Of a law that is a straight line.
    lack
        P-value of the lack-of-fit test, or NaN.
    """
    found = [_replication(solution, cluster), _influence(solution, cluster)]
    if slope is not None and slope.low <= 0 <= slope.high:
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
    return [warning for warning in found if warning is not None]


def search_cautions(solution: Solution, lost: float) -> list[FitWarning]:
    """Warnings about the search for the optimum; `lost` is the share of draws without one."""
    search, found = solution.search, []
    if not search.converged:
        found.append(
            FitWarning("not-converged", f"the search stopped before an optimum: {search.reason}")
        )
    if search.starts and search.agreeing < max(2, search.starts // 4):
        found.append(
            FitWarning(
                "disagreeing-starts",
                f"only {search.agreeing} of {search.starts} starts ended in the best optimum: "
                "there may be a better one",
            )
        )
    if search.condition > ILL_CONDITIONED:
        found.append(
            FitWarning(
                "unidentified",
                f"some coefficients trade against each other (condition number "
                f"{search.condition:.0e}): predictions within the data may be trusted, "
                "coefficients alone not",
            )
        )
    if lost > LOST_DRAWS:
        found.append(
            FitWarning(
                "lost-draws",
                f"{lost:.1%} of the bootstrap draws did not determine the "
                "law, "
                + (
                    "and the rest would be no fair sample: no interval is given"
                    if lost > MOST_LOST_DRAWS
                    else "and are left out of the intervals, which are too narrow"
                ),
            )
        )
    return found


def scatter_caution(relative_sigma: float) -> FitWarning | None:
    """The warning that rows lie on the law exactly; `relative_sigma` is that of ln y, or alike."""
    if not relative_sigma < NO_SCATTER:
        return None
    return FitWarning(
        "no-scatter",
        "the rows lie on the law exactly, so that intervals have no width: results of training "
        "scatter; are these numbers computed from a law, or a mean of one run each?",
    )


def floor_caution(
    name: str, parameter: "Parameter", smallest: float, *, level: float
) -> FitWarning | None:
    """The warning that an irreducible error is not identified."""
    if np.isnan(parameter.low) or np.isnan(parameter.high):
        return FitWarning("unidentified", f"nothing is known of how sure {name} is")
    to_zero, to_smallest = parameter.low <= 0, parameter.high >= smallest
    if not (to_zero or to_smallest):
        return None
    ends = {
        (True, True): "includes 0 and reaches the smallest error",
        (True, False): "includes 0",
        (False, True): f"reaches the smallest error, {smallest:.3g}",
    }[to_zero, to_smallest]
    return FitWarning(
        "unidentified",
        f"{name} is not identified: its {level:.0%} interval {ends}; larger sizes would tell",
    )


def unbounded(parameters: Mapping[str, "Parameter"]) -> list[FitWarning]:
    """A warning where a wild cluster interval has no end."""
    open_ended = [
        name for name, p in parameters.items() if p.low == -np.inf or p.high == np.inf or p.low == 0
    ]
    if not open_ended:
        return []
    return [
        FitWarning(
            "unbounded",
            f"the interval of {' and '.join(open_ended)} has no end: from so few clusters no value "
            "is rejected there",
        )
    ]


def bound_cautions(names: tuple[str, ...]) -> list[FitWarning]:
    """One warning for each coefficient that ended at a bound."""
    return [
        FitWarning(
            "at-bound",
            f"{name} ended at its bound, and counts as known there: the intervals are too narrow",
        )
        for name in names
    ]


def collinearity(predictors: Mapping[str, Vector], columns: Mapping[str, str]) -> list[FitWarning]:
    """A warning for predictors whose logarithms vary together."""
    if len(predictors) < 2:
        return []
    logs = np.array([np.log(np.where(v > 0, v, 1.0)) for v in predictors.values()])
    correlation = np.corrcoef(logs)
    inflation = np.diag(np.linalg.pinv(correlation, hermitian=True))
    if np.linalg.cond(correlation) < 1e12 and inflation.max() < COLLINEAR:
        return []
    worst = np.argsort(inflation)[-2:]
    names = " and ".join(sorted(columns[list(predictors)[place]] for place in worst))
    return [
        FitWarning(
            "collinear",
            f"{names} vary together: their exponents cannot be told apart; run sizes where one "
            "changes and the other does not",
        )
    ]


def _replication(solution: Solution, cluster: str | None) -> FitWarning | None:
    if solution.n_clusters == solution.n_points:
        return _few_points(solution)
    return _few_clusters(solution, cluster)


def _few_points(solution: Solution) -> FitWarning | None:
    freedom = solution.n_points - len(solution.theta)
    if freedom >= FEW_FREEDOM:
        return None
    end = "no interval can be given" if freedom == 0 else "the intervals are very wide"
    return FitWarning("few-points", f"only {solution.n_points} independent rows: {end}")


def _few_clusters(solution: Solution, cluster: str | None) -> FitWarning | None:
    n = solution.n_clusters
    if n == 1:
        return FitWarning(
            "few-clusters",
            f"all {solution.n_points} rows share one {cluster}: nothing is known of how another "
            "would differ, so no interval is given",
        )
    if n < FEWEST_CLUSTERS:
        return FitWarning(
            "few-clusters",
            f"only {n} independent clusters ({cluster}): too few to tell chance "
            "agreement from certainty, so no interval is given; add a third",
        )
    if solution.method == "undetermined":
        what = "slope" if solution.search.starts == 0 else "estimate"
        return FitWarning(
            "one-cluster",
            f"the {what} rests on one {cluster} alone: nothing is known of how another would "
            "differ, so no interval is given",
        )
    if n < FEW_CLUSTERS:
        return FitWarning(
            "few-clusters",
            f"only {n} independent clusters ({cluster}), fewer than {FEW_CLUSTERS}: "
            "the intervals are wide and approximate",
        )
    return None


def _influence(solution: Solution, cluster: str | None) -> FitWarning | None:
    """One cluster of eight or more that changes a coefficient more than chance would have it.

    Of G changes by chance, the share of one in the sum of squares has a beta distribution.
    """
    if solution.n_clusters < FEW_CLUSTERS or np.isnan(solution.left_out).any():
        return None
    squares = (solution.left_out - solution.theta) ** 2
    totals = squares.sum(axis=0)
    shares = squares / np.where(totals > 0, totals, np.inf)
    worst, place = np.unravel_index(int(np.argmax(shares)), shares.shape)
    from scipy.special import betaincc  # noqa: PLC0415 - SciPy is not needed to read a fit

    chance = shares.size * betaincc(0.5, (solution.n_clusters - 2) / 2, shares[worst, place])
    if chance >= INFLUENCE_P:
        return None
    of = f"{cluster} {solution.clusters[worst]}" if cluster else f"row {solution.clusters[worst]}"
    return FitWarning(
        "influential-cluster",
        f"{of} alone accounts for {shares[worst, place]:.0%} of the variance of "
        f"{solution.estimated[place]}: see what is special about it",
    )


def extrapolation(columns: Mapping[str, tuple[float, float, float]], decades: float) -> FitWarning:
    """The warning that a prediction lies beyond the data.

    Parameters
    ----------
    columns
        Column → value asked for, smallest and largest of the data.
    decades
        How far beyond.
    """
    outside = {
        column: (value, low, high)
        for column, (value, low, high) in columns.items()
        if not low <= value <= high
    }
    where = "; ".join(f"{column} = {value:g}" for column, (value, _, _) in outside.items())
    data = "; ".join(f"{low:g} to {high:g}" for _, low, high in outside.values())
    return FitWarning(
        "extrapolation",
        f"{where} lies {decades:.2f} decades beyond the data ({data}); "
        "the intervals assume that the law still holds there",
    )

"""A straight line through points, with standard errors that respect clusters of points."""

from dataclasses import dataclass
from math import inf, isnan, nan, sqrt

import numpy as np
from numpy.typing import NDArray

from mfscale.scaling.covariance import Method, Vector, line_covariance

Covariance = tuple[tuple[float, float], tuple[float, float]]

_UNDETERMINED: Covariance = ((nan, nan), (nan, nan))


@dataclass(frozen=True)
class Line:
    """The line ``intercept + slope · (x − centre)``; NaN is what the points cannot determine.

    Attributes
    ----------
    centre
        Mean of x. Centred, slope and intercept are uncorrelated in the classical case.
    intercept, slope
        The least-squares line.
    covariance
        Of (intercept, slope), shape 2 × 2.
    method, degrees_of_freedom
        How `covariance` was found, and the degrees of freedom of Student's t that go with it.
    sigma
        Standard deviation of a new point of a new cluster about the line.
    r_squared
        Share of the variance of y that the line explains.
    n_points, n_clusters
        What the line rests on.
    """

    centre: float = nan
    intercept: float = nan
    slope: float = nan
    covariance: Covariance = _UNDETERMINED
    method: Method = "undetermined"
    degrees_of_freedom: int = 0
    sigma: float = nan
    r_squared: float = nan
    n_points: int = 0
    n_clusters: int = 0


def straight_line(x: Vector, y: Vector, clusters: NDArray[np.intp]) -> Line:
    """Fit a line by ordinary least squares.

    Parameters
    ----------
    x, y
        Finite, shape ``(n,)``.
    clusters
        Shape ``(n,)``; equal integers mark points that share a cluster.
    """
    n_points, n_clusters = len(x), len(np.unique(clusters))
    if len(np.unique(x)) < 2:
        return Line(n_points=n_points, n_clusters=n_clusters)
    from statsmodels.regression.linear_model import OLS  # noqa: PLC0415 - takes a second to import

    centre = float(np.mean(x))
    design = np.column_stack([np.ones(n_points), x - centre])
    result = OLS(y, design).fit()
    covariance, method, freedom = line_covariance(design, y, clusters)
    scatter = float(np.sum((y - np.mean(y)) ** 2))
    return Line(
        centre=centre,
        intercept=float(result.params[0]),
        slope=float(result.params[1]),
        covariance=_as_tuples(covariance),
        method=method,
        degrees_of_freedom=freedom,
        sigma=_new_cluster_sigma(design, float(result.ssr), clusters),
        r_squared=1.0 - float(result.ssr) / scatter if scatter > 0 else nan,
        n_points=n_points,
        n_clusters=n_clusters,
    )


def standard_error(covariance: Covariance, distance: Vector) -> Vector:
    """Standard error of the line's height at `distance` = x − centre; shapes ``(m,)``."""
    (intercept, both), (_, slope) = covariance
    return np.sqrt(np.maximum(intercept + 2 * distance * both + distance**2 * slope, 0.0))


def quantile(level: float, degrees_of_freedom: int) -> float:
    """Half-width, in standard errors, of the two-sided interval of Student's t."""
    from scipy.special import stdtrit  # noqa: PLC0415 - SciPy is not needed to read a fit

    return float(stdtrit(degrees_of_freedom, (1 + level) / 2)) if degrees_of_freedom else nan


def half_width(line: Line, level: float) -> float:
    """Half-width of the interval of the slope."""
    return quantile(level, line.degrees_of_freedom) * sqrt(line.covariance[1][1])


def lack_of_fit(x: Vector, y: Vector, clusters: NDArray[np.intp]) -> float:
    """P-value of the F-test that the mean of y is not linear in x (small: it is not).

    Points of one cluster at one x are averaged first, because they are not replicates of each
    other. NaN without replicates, or with fewer than three different x. Draper & Smith, *Applied
    Regression Analysis*, 3rd ed., section 2.1.
    """
    _, cells, counts = np.unique(
        np.column_stack([clusters, x]), axis=0, return_inverse=True, return_counts=True
    )
    x, y = (np.bincount(cells.ravel(), values) / counts for values in (x, y))
    levels, where, repeats = np.unique(x, return_inverse=True, return_counts=True)
    pure_freedom, lack_freedom = len(x) - len(levels), len(levels) - 2
    if pure_freedom < 1 or lack_freedom < 1:
        return nan
    means = np.bincount(where, y) / repeats
    pure = float(np.sum((y - means[where]) ** 2))
    line = straight_line(x, y, np.arange(len(x)))
    lack = float(
        np.sum(repeats * (means - line.intercept - line.slope * (levels - line.centre)) ** 2)
    )
    if lack <= 1e-20 * float(np.sum(y**2)):  # rounding, in data that lie on the line
        return nan
    from scipy.special import fdtrc  # noqa: PLC0415 - as above

    ratio = inf if pure == 0 else (lack / lack_freedom) / (pure / pure_freedom)
    return float(fdtrc(lack_freedom, pure_freedom, ratio))


def _new_cluster_sigma(design: Vector, rss: float, clusters: NDArray[np.intp]) -> float:
    """Standard deviation of a new cluster's point about the line, √(RSS / tr(M Z Zᵀ)).

    M makes residuals and Z marks clusters. With all scatter between clusters the divisor makes
    the variance unbiased; with part of it inside clusters it errs on the wide side, by
    (n − 2)/tr(M Z Zᵀ) at most. With one point per cluster it is the usual n − 2.
    """
    _, clusters = np.unique(clusters, return_inverse=True)
    totals = np.zeros((int(clusters.max()) + 1, 2))
    np.add.at(totals, clusters, design)
    divisor = len(design) - float(np.trace(totals @ np.linalg.inv(design.T @ design) @ totals.T))
    return sqrt(rss / divisor) if divisor > 1e-9 else nan


def _as_tuples(matrix: Vector) -> Covariance:
    (a, b), (c, d) = matrix.tolist()
    return (a, b), (c, d)


def is_determined(line: Line) -> bool:
    """Whether the points determine a line at all."""
    return not isnan(line.slope)

"""A straight line through points, with standard errors that respect clusters of points."""

from dataclasses import dataclass
from math import isnan, nan, sqrt

import numpy as np

from mfscale.scaling import replicates
from mfscale.scaling.covariance import Method, linear_covariance
from mfscale.scaling.vectors import Indices, Vector

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
    left_out
        (intercept, slope) without each cluster, in the order of their integers.
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
    left_out: tuple[tuple[float, float], ...] = ()


def straight_line(x: Vector, y: Vector, clusters: Indices) -> Line:
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
    found, changes = linear_covariance(design, y, clusters)
    scatter = float(np.sum((y - np.mean(y)) ** 2))
    return Line(
        centre=centre,
        intercept=float(result.params[0]),
        slope=float(result.params[1]),
        covariance=_as_tuples(found.matrix),
        method=found.method,
        degrees_of_freedom=found.degrees_of_freedom,
        sigma=new_cluster_sigma(design, float(result.ssr), clusters),
        r_squared=1.0 - float(result.ssr) / scatter if scatter > 0 else nan,
        n_points=n_points,
        n_clusters=n_clusters,
        left_out=tuple((a, b) for a, b in (result.params + changes).tolist()),
    )


def standard_error(covariance: Covariance, distance: Vector) -> Vector:
    """Standard error of the line's height at `distance` = x − centre; shapes ``(m,)``."""
    (intercept, both), (_, slope) = covariance
    return np.sqrt(np.maximum(intercept + 2 * distance * both + distance**2 * slope, 0.0))


def quantile(level: float, degrees_of_freedom: int) -> float:
    """Half-width, in standard errors, of the two-sided interval of Student's t."""
    from scipy.special import stdtrit  # noqa: PLC0415 - SciPy is not needed to read a fit

    return float(stdtrit(degrees_of_freedom, (1 + level) / 2)) if degrees_of_freedom else nan


def lack_of_fit(x: Vector, y: Vector, clusters: Indices) -> float:
    """P-value of the F-test that the mean of y is not linear in x; see `replicates`."""
    averaged = replicates.cells(x[:, None], y, clusters)
    line = straight_line(x[averaged.first], averaged.means, np.arange(len(averaged.first)))
    levels = x[averaged.first_of_level]
    fitted = line.intercept + line.slope * (levels - line.centre)
    return replicates.lack_of_fit(averaged, fitted, n_parameters=2)


def new_cluster_sigma(design: Vector, rss: float, clusters: Indices) -> float:
    """Standard deviation of a new cluster's point about the law, √(RSS / tr(M Z Zᵀ)).

    M makes residuals and Z marks clusters; `design` is the Jacobian, ``(n, p)``. With all scatter
    between clusters the divisor makes the variance unbiased; with part of it inside clusters it
    errs on the wide side, by (n − p)/tr(M Z Zᵀ) at most. With one point per cluster it is the
    usual n − p.
    """
    _, clusters = np.unique(clusters, return_inverse=True)
    totals = np.zeros((int(clusters.max()) + 1, design.shape[1]))
    np.add.at(totals, clusters, design)
    hat = np.linalg.pinv(design.T @ design)
    divisor = len(design) - float(np.sum(totals @ hat * totals))  # no matrix of clusters × clusters
    return sqrt(rss / divisor) if divisor > 1e-9 else nan


def _as_tuples(matrix: Vector) -> Covariance:
    (a, b), (c, d) = matrix.tolist()
    return (a, b), (c, d)


def is_determined(line: Line) -> bool:
    """Whether the points determine a line at all."""
    return not isnan(line.slope)

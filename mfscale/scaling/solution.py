"""What a fit rests on: the estimated coefficients, how sure they are and how they were found."""

from dataclasses import dataclass
from math import nan

import numpy as np

from mfscale.scaling.covariance import Method
from mfscale.scaling.vectors import StoredVector


@dataclass(frozen=True, kw_only=True)
class Search:
    """How the optimum was found.

    Attributes
    ----------
    reason
        Why the search stopped: SciPy's words, or ``exact`` for linear least squares.
    converged
        Whether no step leads further down.
    starts, agreeing
        Starts tried and how many of them ended in the best optimum; 0 if exact.
    at_bound
        Names of coefficients that ended at a bound.
    condition
        Condition number of the Jacobian, its columns scaled to unit length.
    delta
        Beyond this a residual counts linearly (Huber's loss); NaN for least squares.
    """

    reason: str = "exact"
    converged: bool = True
    starts: int = 0
    agreeing: int = 0
    at_bound: tuple[str, ...] = ()
    condition: float = 1.0
    delta: float = nan


@dataclass(frozen=True, kw_only=True, eq=False)
class Solution:
    """Estimated coefficients of a law and their uncertainty; NaN is what the data cannot determine.

    Attributes
    ----------
    estimated
        Names of the p coefficients, in the order of the arrays.
    theta
        Internal values (scaled; the logarithm of positive ones), shape ``(p,)``.
    covariance
        Of `theta`, shape ``(p, p)``; 0 for coefficients at a bound.
    method, degrees_of_freedom
        How `covariance` was found, and the degrees of freedom of Student's t that go with it.
    left_out
        `theta` without each cluster, shape ``(G, p)``; NaN where that does not determine it.
    clusters
        Names of the clusters, in the order of `left_out`.
    sigma
        Standard deviation of a new run of a new cluster about the law: of ln y, or of y if the
        residuals were linear.
    r_squared
        Share of the variance of ln y (or y) that the law explains.
    n_points, n_clusters
        Rows, and independent clusters.
    search
        How it was found.
    """

    estimated: tuple[str, ...]
    theta: StoredVector
    covariance: StoredVector
    left_out: StoredVector
    clusters: tuple[str, ...]
    method: Method = "undetermined"
    degrees_of_freedom: int = 0
    sigma: float = nan
    r_squared: float = nan
    n_points: int = 0
    n_clusters: int = 0
    search: Search = Search()


def no_solution(estimated: tuple[str, ...], clusters: tuple[str, ...], n_points: int) -> Solution:
    """The solution of data that do not determine the law."""
    p = len(estimated)
    return Solution(
        estimated=estimated,
        theta=np.full(p, nan),
        covariance=np.full((p, p), nan),
        left_out=np.full((len(clusters), p), nan),
        clusters=clusters,
        n_points=n_points,
        n_clusters=len(clusters),
        search=Search(reason="not determined", converged=False),
    )

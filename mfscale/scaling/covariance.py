"""How sure a fitted line is: the covariance of its height and slope, respecting clusters.

Points of one cluster (fine-tunings that share a pre-trained checkpoint) are not independent. If
every cluster has one point, the classical formulas hold. Otherwise the covariance is the
leave-one-cluster-out jackknife (CR3 of Bell & McCaffrey 2002; CV3 of MacKinnon, Nielsen & Webb,
J. Appl. Econometrics 2023), with Student's t of G − 1 degrees of freedom for G clusters. Below
eight clusters no variance is less than the classical one, and two clusters give none at all.

Why the jackknife: on simulated tables with a random intercept per cluster (balanced, unbalanced,
and with x constant in each cluster; a fifth to four fifths of the variance between clusters),
nominal 95% intervals of slope and mean law covered 92–96% with it from 8 to 40 clusters, where
the usual sandwich (CR1) fell to 78% at 4 and 88% at 12 clusters, and the classical formula to 68%.

Why the bound: a few clusters that agree by luck make the jackknife absurdly sure. It is right on
average, but where all clusters saw every x, with 0.6 of the variance between them, 11% of tables of
two clusters and 13% of three had an interval below half the classical one. Bounded, intervals from
3 to 7 clusters covered 94–100%. The price is paid where luck and knowledge look alike: four fifths
between such clusters, and the slope is known 2.2 times better than the bound admits.
"""

from math import nan
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Method = Literal[
    "classical", "cluster jackknife", "cluster jackknife, at least classical", "undetermined"
]

# Below 8 clusters Student's t passes 2.4, a quarter more than the 1.96 of many clusters, and the
# variance that it multiplies is itself known no better than to a factor of about two.
FEW_CLUSTERS = 8
FEWEST_CLUSTERS = 3  # two show their scatter in one difference, by chance often close to zero

_SINGULAR = 1e10  # a condition number beyond this means: no slope without that cluster


def line_covariance(
    design: Vector, y: Vector, clusters: NDArray[np.intp]
) -> tuple[Vector, Method, int]:
    """Find the covariance of the least-squares line, how it was found, and its freedom.

    Parameters
    ----------
    design
        Columns 1 and x − mean(x), shape ``(n, 2)``, with at least two different x.
    y
        Shape ``(n,)``.
    clusters
        Shape ``(n,)``; equal integers mark points that share a cluster.

    Returns
    -------
    covariance, method, degrees_of_freedom
        Of (height at the mean of x, slope), shape 2 × 2; NaN, ``"undetermined"`` and 0 if the
        points do not determine it. The freedom is that of Student's t.
    """
    unknown: tuple[Vector, Method, int] = (np.full((2, 2), nan), "undetermined", 0)
    n_points, n_clusters = len(y), len(np.unique(clusters))
    if n_points < 3 or n_clusters < FEWEST_CLUSTERS:
        return unknown
    squares = np.sum(design**2, axis=0)  # all of designᵀ design, because x is centred
    estimate = design.T @ y / squares
    variance = float(np.sum((y - design @ estimate) ** 2)) / (n_points - 2)
    if n_clusters == n_points:
        return np.diag(variance / squares), "classical", n_points - 2
    covariance = _jackknife(design, y, estimate, clusters)
    if not np.isfinite(covariance).all():
        return unknown
    if n_clusters >= FEW_CLUSTERS:
        return covariance, "cluster jackknife", n_clusters - 1
    bounded = _at_least(covariance, variance, squares)
    return bounded, "cluster jackknife, at least classical", n_clusters - 1


def _jackknife(design: Vector, y: Vector, estimate: Vector, clusters: NDArray[np.intp]) -> Vector:
    """(G − 1)/G · Σ (β without g − β)(β without g − β)ᵀ; NaN if some β without g does not exist."""
    _, clusters = np.unique(clusters, return_inverse=True)
    n_clusters = int(clusters.max()) + 1
    squares = np.zeros((n_clusters, 2, 2))
    products = np.zeros((n_clusters, 2))
    np.add.at(squares, clusters, design[:, :, None] * design[:, None, :])
    np.add.at(products, clusters, design * y[:, None])
    without = squares.sum(axis=0) - squares
    if np.linalg.cond(without).max() > _SINGULAR:
        return np.full((2, 2), nan)
    left_out = np.linalg.solve(without, (products.sum(axis=0) - products)[:, :, None])[:, :, 0]
    change = left_out - estimate
    return np.asarray((n_clusters - 1) / n_clusters * change.T @ change)


def _at_least(covariance: Vector, variance: float, squares: Vector) -> Vector:
    """Raise `covariance` to the least matrix that dominates it and diag(variance / squares).

    In units of the classical standard errors the classical covariance is `variance` times the
    identity, so it suffices to raise each eigenvalue of the other to `variance`. Then the slope
    and the line's height at every x have at least the larger of their two variances, and the
    result does not depend on the units of x.
    """
    units = np.sqrt(squares)
    values, vectors = np.linalg.eigh(covariance * np.outer(units, units))
    vectors = vectors / units[:, None]
    return np.asarray(vectors * np.maximum(values, variance) @ vectors.T)

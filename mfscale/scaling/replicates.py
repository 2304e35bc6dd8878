"""What replicates say: the noise of a single run, and whether a law's form is wrong."""

from dataclasses import dataclass
from math import inf, nan

import numpy as np

from mfscale.scaling.vectors import Indices, Vector

_FEWEST_PAIRS = 6


@dataclass(frozen=True)
class Cells:
    """Means of the points of one cluster at one place, which are no replicates of each other.

    Attributes
    ----------
    first
        A row of each cell, shape ``(c,)``.
    means
        Mean of each cell, shape ``(c,)``.
    level
        Which place each cell is at, integers from 0 to l − 1, shape ``(c,)``.
    first_of_level
        A row of each place, shape ``(l,)``.
    """

    first: Indices
    means: Vector
    level: Indices
    first_of_level: Indices


def cells(places: Vector, values: Vector, clusters: Indices) -> Cells:
    """Average `values`, ``(n,)``, over rows of equal `places`, ``(n, k)``, and cluster."""
    _, first, where, counts = np.unique(
        np.column_stack([clusters, places]),
        axis=0,
        return_index=True,
        return_inverse=True,
        return_counts=True,
    )
    means = np.bincount(where.ravel(), values) / counts
    _, first_of_level, level = np.unique(
        places[first], axis=0, return_index=True, return_inverse=True
    )
    return Cells(first, means, level.ravel(), first[first_of_level])


def lack_of_fit(averaged: Cells, law: Vector, n_parameters: int) -> float:
    """P-value of the F-test that the mean of y does not follow the law (small: it does not).

    Parameters
    ----------
    averaged
        The data.
    law
        The law fitted to the cells, at each place, shape ``(l,)``.
    n_parameters
        Of the law.

    Returns
    -------
    float
        NaN without replicates, or without more places than parameters. Draper & Smith, *Applied
        Regression Analysis*, 3rd ed., section 2.1.
    """
    pure_freedom = len(averaged.means) - len(law)
    lack_freedom = len(law) - n_parameters
    if pure_freedom < 1 or lack_freedom < 1:
        return nan
    repeats = np.bincount(averaged.level)
    means = np.bincount(averaged.level, averaged.means) / repeats
    pure = float(np.sum((averaged.means - means[averaged.level]) ** 2))
    lack = float(np.sum(repeats * (means - law) ** 2))
    if lack <= 1e-20 * float(np.sum(averaged.means**2)):  # rounding, in data that lie on the law
        return nan
    from scipy.special import fdtrc  # noqa: PLC0415 - SciPy is not needed to read a fit

    ratio = inf if pure == 0 else (lack / lack_freedom) / (pure / pure_freedom)
    return float(fdtrc(lack_freedom, pure_freedom, ratio))


def replicate_sigma(averaged: Cells) -> float:
    """Standard deviation of a run about the mean of its replicates, deaf to single outliers.

    The median absolute difference of two replicates over √2 · 0.6745, which for normal noise is
    its standard deviation; NaN with fewer than six pairs.
    """
    order = np.argsort(averaged.level, kind="stable")
    values = np.split(averaged.means[order], np.cumsum(np.bincount(averaged.level))[:-1])
    differences = np.concatenate(
        [np.abs(v[:, None] - v)[np.triu_indices(len(v), 1)] for v in values]
    )
    if len(differences) < _FEWEST_PAIRS:
        return nan
    return float(np.median(differences)) / (2**0.5 * 0.6745)

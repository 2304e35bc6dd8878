"""Slope and bend of ln y against ln x on parallel lines, one per group of otherwise equal runs.

Ordinary least squares with an intercept per group and a common slope; covariance by cluster as in
`mfscale.scaling`. Noise of x, which the same checkpoint shares, is not corrected for: it draws the
slope towards zero (attenuation), so a slope is if anything larger than it is said to be.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from mfscale.claims.inference import Estimate
from mfscale.scaling.covariance import FEWEST_CLUSTERS, linear_covariance
from mfscale.scaling.vectors import Vector

_SINGULAR = 1e10  # a condition number beyond this means: not determined


def usable(points: pd.DataFrame) -> pd.DataFrame:
    """Leave out groups that say nothing of a slope: with one cluster, one x, or one labelled set.

    Where only seeds move x, it moves by noise alone.

    Parameters
    ----------
    points
        Columns ``x`` and ``y`` (logarithms), ``line`` (the group), ``cluster``, and ``behind_x``,
        the labels that the model behind x learned.
    """
    by_line = points.groupby("line")
    counts = [by_line[column].transform("nunique") for column in ("cluster", "x", "behind_x")]
    return points[pd.concat(counts, axis=1).min(axis=1) > 1].reset_index(drop=True)


def per_halving(points: pd.DataFrame, dx: Vector | None, dy: Vector | None) -> Estimate:
    """Estimate the log factor of y when x is halved, −ln 2 times the slope.

    Parameters
    ----------
    points
        As `usable` leaves them, n rows.
    dx, dy
        Changes of x and y under each resample of the test set, shape ``(n_draws, n)``; None if they
        are not known.
    """
    return _estimated(points, dx, dy, 1, lambda _: -np.log(2))


def bend(points: pd.DataFrame, dx: Vector | None, dy: Vector | None) -> Estimate:
    """Estimate the largest deviation of a quadratic from its best lines, over the data.

    With y = a_g + b·x + c·x², the deviation is c times the residual of x² from the lines, largest
    in absolute value at a point or at the vertex between points; its sign is that of c times the
    residual. Parameters are those of `per_halving`.
    """
    return _estimated(points, dx, dy, 2, lambda x: _farthest(x, _indicators(points)))


def _estimated(
    points: pd.DataFrame,
    dx: Vector | None,
    dy: Vector | None,
    power: int,
    factor: Callable[[Vector], float],
) -> Estimate:
    """Estimate `factor` (of centred x) times the coefficient of x^power."""
    x, y = points["x"].to_numpy(dtype=float), points["y"].to_numpy(dtype=float)
    clusters = pd.factorize(points["cluster"])[0]
    n_clusters = len(np.unique(clusters))
    if n_clusters == 0:
        return Estimate()
    lines, centre = _indicators(points), float(np.mean(x))
    design = _design(x - centre, lines, power)
    if design.shape[0] < design.shape[1] or np.linalg.cond(design) > _SINGULAR:
        return Estimate(n_clusters=n_clusters)
    scale = factor(x - centre)
    found = scale * _last(design, y)
    if n_clusters < FEWEST_CLUSTERS:
        return Estimate(found, n_clusters=n_clusters)
    covariance, _ = linear_covariance(design, y, clusters)
    freedom = min(covariance.degrees_of_freedom, n_clusters - 1 - power)
    variance = scale**2 * float(covariance.matrix[-1, -1])
    if dx is not None and dy is not None:
        drawn = [
            scale * _last(_design(x + cx - centre, lines, power), y + cy)
            for cx, cy in zip(dx, dy, strict=True)
        ]
        variance += float(np.var(drawn, ddof=1))
    return Estimate(found, variance**0.5, max(freedom, 0), n_clusters)


def _indicators(points: pd.DataFrame) -> Vector:
    return pd.get_dummies(pd.factorize(points["line"])[0]).to_numpy(dtype=float)


def _design(x: Vector, lines: Vector, power: int) -> Vector:
    return np.column_stack([lines, *(x**k for k in range(1, power + 1))])


def _last(design: Vector, y: Vector) -> float:
    return float(np.linalg.lstsq(design, y)[0][-1])


def _farthest(x: Vector, lines: Vector) -> float:
    """The residual of x² from the lines that is largest in absolute value, over the data."""
    design = _design(x, lines, 1)
    coefficients = np.linalg.lstsq(design, x**2)[0]
    candidates = list(x**2 - design @ coefficients)
    heights, slope = coefficients[:-1], float(coefficients[-1])
    for height, of_line in zip(heights, lines.T.astype(bool), strict=True):
        if x[of_line].min() < slope / 2 < x[of_line].max():
            candidates.append(-(slope**2) / 4 - height)
    return float(max(candidates, key=abs))

"""Tests of whether estimates are equal, several at once and pair by pair."""

from dataclasses import dataclass
from math import nan

import numpy as np

from mfscale.scaling.regression import quantile
from mfscale.scaling.vectors import Vector


@dataclass(frozen=True, eq=False)
class Estimates:
    """One quantity, estimated in each of k groups.

    Attributes
    ----------
    quantity
        Its name.
    found, covariance
        Shapes ``(k,)`` and ``(k, k)``.
    freedom
        Degrees of freedom of the covariance; 0 if it is not known.
    exact
        Whether the covariance is that of ordinary least squares, for which F is exact. Otherwise
        it was estimated entry by entry, and F is Hotelling's, which is smaller and has fewer
        degrees of freedom.
    ratio
        Whether the estimates are logarithms, so that their differences mean ratios.
    """

    quantity: str
    found: Vector
    covariance: Vector
    freedom: int
    exact: bool
    ratio: bool


def all_equal(of: Estimates) -> tuple[float, int, int, float]:
    """Test whether the groups have one value: F, its two degrees of freedom, and p.

    NaN for what cannot be tested.
    """
    contrasts = np.diff(np.eye(len(of.found)), axis=0)
    q = len(contrasts)
    below = of.freedom if of.exact else of.freedom - q + 1
    spread = contrasts @ of.covariance @ contrasts.T
    if below < 1 or not np.isfinite(spread).all() or np.linalg.matrix_rank(spread) < q:
        return nan, q, max(below, 0), nan
    change = contrasts @ of.found
    wald = float(change @ np.linalg.solve(spread, change)) / q
    from scipy.special import fdtrc  # noqa: PLC0415 - SciPy is not needed to read a comparison

    f = wald if of.exact else wald * below / of.freedom
    return f, q, below, float(fdtrc(q, below, f))


def difference(of: Estimates, level: float) -> tuple[float, float, float, float]:
    """The second of two values minus the first, its interval, and p of no difference."""
    contrast = np.array([-1.0, 1.0])
    found = float(contrast @ of.found)
    variance = float(contrast @ of.covariance @ contrast)
    if not (variance > 0 and of.freedom > 0):
        return found, nan, nan, nan
    from scipy.special import stdtr  # noqa: PLC0415 - as above

    error = variance**0.5
    width = quantile(level, of.freedom) * error
    return found, found - width, found + width, 2 * float(stdtr(of.freedom, -abs(found) / error))


def holm(p: Vector) -> Vector:
    """Adjust a family's p-values so that the chance of any false alarm is what each of them says.

    S. Holm, *Scandinavian Journal of Statistics* 6 (1979) 65. NaN stays, and is not counted.
    """
    adjusted = np.full(len(p), nan)
    order = [int(i) for i in np.argsort(p) if np.isfinite(p[i])]
    highest = 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * float(p[i])))
        adjusted[i] = highest
    return adjusted

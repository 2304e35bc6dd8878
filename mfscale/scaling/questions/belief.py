"""What a fit leaves possible: draws of its coefficients, and probabilities read from them.

Where a fit takes its intervals from bootstrap draws, so do the questions, and a share of the draws
becomes a probability as the fit's own intervals have it: widened for the number of clusters. Where
clusters are too few to draw from, or a straight line has an exact formula, the fit's interval is
Student's t, and coefficients are drawn from that distribution: the multivariate t with the fit's
estimate, covariance and degrees of freedom, within the bounds of the law.
"""

from dataclasses import dataclass

import numpy as np

from mfscale.scaling.errors import FitError
from mfscale.scaling.result import Fit
from mfscale.scaling.vectors import Vector

_DRAWS = 2000  # pairs: a probability of 0.9 is read to about ±0.005


@dataclass(frozen=True, eq=False)
class Belief:
    """Draws of a law.

    Attributes
    ----------
    draws
        Internal coefficients, shape ``(m, P)``; no row if nothing is known of how sure the law is.
    freedom
        Degrees of freedom of Student's t.
    widening
        By which the draws are narrower than what they stand for, √(clusters / freedom); 0 if their
        shares are probabilities as they are.
    """

    draws: Vector
    freedom: int
    widening: float

    def share(self, probability: float) -> float:
        """The share of draws that stands for a probability."""
        if not self.widening:
            return probability
        from scipy.special import ndtr, stdtrit  # noqa: PLC0415 - SciPy is slow to import

        return float(ndtr(self.widening * stdtrit(self.freedom, probability)))

    def probability(self, share: Vector) -> Vector:
        """The inverse of `share`."""
        if not self.widening:
            return share
        from scipy.special import ndtri, stdtr  # noqa: PLC0415 - as above

        return np.asarray(stdtr(self.freedom, ndtri(share) / self.widening))

    def quantile(self, values: Vector, probability: float) -> Vector:
        """Along the draws, ``(m, g)`` → ``(g,)``; a value that a draw attained, or infinite."""
        if not len(values):
            return np.full(values.shape[1], np.nan)
        share = np.clip(self.share(probability), 1 / len(values), 1.0)
        return np.asarray(np.quantile(values, share, axis=0, method="inverted_cdf"))


def belief(fit: Fit) -> Belief:
    """What `fit` leaves possible.

    Raises
    ------
    FitError
        For a law that the data did not determine, or a fit with wild cluster intervals.
    """
    if not fit.determined:
        raise FitError(f"nothing can be asked of {fit.y}: {fit.warnings[0].message}")
    if fit.intervals == "wild":
        raise FitError(
            "wild cluster intervals give no probabilities, which are read from Student's t or from "
            "draws: fit with other intervals to ask this"
        )
    freedom = fit.solution.degrees_of_freedom
    if fit.intervals in {"percentile", "bca"}:
        draws = fit.sampling.draws
        kept = draws[np.isfinite(draws).all(axis=1)]
        return Belief(kept, freedom, (fit.solution.left_out.shape[0] / freedom) ** 0.5)
    if fit.intervals == "none":
        return Belief(np.empty((0, len(fit.form.names))), 0, 0.0)
    return Belief(_student(fit, freedom), freedom, 0.0)


def noise(fit: Fit, known: Belief) -> Vector:
    """What a new run adds to ln y (to y, with linear residuals) in each draw, shape ``(m, 1)``.

    Raises
    ------
    FitError
        If the rows do not say how runs scatter.
    """
    if not fit.sigma >= 0:
        raise FitError(f"how single runs of {fit.y} scatter is unknown; ask without a new run")
    from scipy.special import stdtrit  # noqa: PLC0415 - as above

    m = len(known.draws)
    ranks = np.random.default_rng(0).permutation(m)[:, None]
    return np.asarray(fit.sigma * stdtrit(max(known.freedom, 1), (ranks + 0.5) / m))


def _student(fit: Fit, freedom: int) -> Vector:
    solution = fit.solution
    rng = np.random.default_rng(0)
    values, vectors = np.linalg.eigh(solution.covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    normal = rng.standard_normal((_DRAWS, len(values)))
    spread = (normal @ root.T) / np.sqrt(rng.chisquare(freedom, (_DRAWS, 1)) / freedom)
    spread = np.concatenate([spread, -spread])  # so that the middle draw is the estimate
    places = [fit.form.names.index(name) for name in solution.estimated]
    draws = np.repeat(fit.internal[None], len(spread), axis=0)
    draws[:, places] += spread
    # The lower bounds alone: those of positive coefficients hold by themselves.
    lows = [-np.inf if spec.positive else spec.low for spec in fit.form.coefficients]
    return np.asarray(np.maximum(draws, np.array(lows)))

"""A law, its data and its loss, as the least-squares problem that the engine solves."""

from dataclasses import dataclass
from math import inf

import numpy as np

from mfscale.scaling.laws import Law, Scale
from mfscale.scaling.vectors import Indices, Vector

_INSIDE = 1 - 1e-6  # of a bound that must not be reached, such as the smallest x


@dataclass(frozen=True)
class Problem:
    """Minimise Σ ρ(residual) over the estimated coefficients, within their bounds.

    Attributes
    ----------
    law, scale
        The law, and the units of its scaled numbers.
    predictors, y
        Scaled data, each of shape ``(n,)``.
    clusters
        Shape ``(n,)``, integers from 0 to G − 1.
    estimated
        Places of the estimated coefficients among all of the law, shape ``(p,)``.
    held
        Internal values of all coefficients, of which those of the others are kept; shape ``(P,)``.
    low, high
        Internal bounds, shape ``(p,)``.
    log_residuals
        Whether residuals are ln y − ln law (the noise of an error is multiplicative), or y − law.
    delta
        Beyond this a residual counts linearly (Huber's loss); infinite for least squares.
    """

    law: Law
    scale: Scale
    predictors: tuple[Vector, ...]
    y: Vector
    clusters: Indices
    estimated: Indices
    held: Vector
    low: Vector
    high: Vector
    log_residuals: bool = True
    delta: float = inf

    @property
    def n_points(self) -> int:
        """Rows."""
        return len(self.y)

    @property
    def n_clusters(self) -> int:
        """Independent clusters."""
        return int(self.clusters.max()) + 1

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the estimated coefficients."""
        return tuple(self.law.names[place] for place in self.estimated)

    def complete(self, theta: Vector) -> Vector:
        """All internal coefficients, ``(m, P)``, from the estimated ones, ``(m, p)``."""
        full = np.repeat(self.held[None], len(theta), axis=0)
        full[:, self.estimated] = theta
        return full

    def residuals(self, theta: Vector) -> tuple[Vector, Vector]:
        """Law minus data, ``(m, n)``, and derivatives, ``(m, p, n)``, at `theta`, ``(m, p)``."""
        ln_law, jacobian = self.law.log_value(self.complete(theta), self.predictors)
        jacobian = jacobian[:, self.estimated]
        if self.log_residuals:
            return ln_law - np.log(self.y), jacobian
        with np.errstate(over="ignore", invalid="ignore"):
            law = np.exp(ln_law)
            return law - self.y, jacobian * law[:, None]

    def robust_weights(self, residuals: Vector) -> Vector:
        """ρ'(r)/r: 1 within delta, delta/|r| beyond."""
        if self.delta == inf:
            return np.ones_like(residuals)
        return np.asarray(self.delta / np.maximum(np.abs(residuals), self.delta))

    def losses(self, residuals: Vector) -> Vector:
        """ρ(r): r²/2 within delta, delta · (|r| − delta/2) beyond."""
        if self.delta == inf:
            return np.asarray(0.5 * residuals**2)
        size = np.abs(residuals)
        inner = np.minimum(size, self.delta)
        return np.asarray(inner * (size - 0.5 * inner))

    def starts(self, most: int = 32) -> Vector:
        """Where to start from, ``(m, p)``: the product of what the law suggests, thinned evenly."""
        suggested = [self.law.coefficients[place].starts for place in self.estimated]
        scaled = np.array(np.meshgrid(*suggested, indexing="ij")).reshape(len(suggested), -1).T
        scaled = scaled[np.unique(np.linspace(0, len(scaled) - 1, most).astype(int))]
        full = np.ones((len(scaled), len(self.held)))
        full[:, self.estimated] = scaled
        return np.clip(self.law.logarithms(full)[:, self.estimated], self.low, self.high)


def internal_bounds(law: Law, predictors: tuple[Vector, ...]) -> tuple[Vector, Vector]:
    """The law's own bounds for these scaled predictors, internal, shapes ``(P,)``."""
    smallest = {
        name: _INSIDE * min(float(x.min()), 1.0)
        for name, x in zip(law.predictors, predictors, strict=True)
    }
    low = [max(spec.low, 0.0) if spec.positive else spec.low for spec in law.coefficients]
    high = [
        smallest[spec.high] if isinstance(spec.high, str) else spec.high
        for spec in law.coefficients
    ]
    return law.logarithms(np.array(low)), law.logarithms(np.array(high))

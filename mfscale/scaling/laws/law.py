"""What a law is: named predictors, named coefficients, and ln of its value with the Jacobian.

Every law is evaluated in scaled numbers: each predictor over its reference (the geometric mean of
the data, or one that was asked for), y over its smallest value. Then all coefficients are of order
one whatever the units, and an amplitude is the height *at the reference*: away from it, amplitude
and exponent correlate almost perfectly and neither means much alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf

import numpy as np

from mfscale.scaling.vectors import Vector

Evaluate = Callable[..., tuple[Vector, tuple[Vector, ...]]]


@dataclass(frozen=True)
class Coefficient:
    """One number of a law, to be estimated or held.

    Attributes
    ----------
    name, meaning
        As the report prints them.
    starts
        Scaled values to start the search from.
    low, high
        Scaled bounds. A predictor's name as `high` bounds it by that predictor's smallest value.
    positive
        Estimated through its logarithm.
    unit
        What a scaled value is multiplied with to give the reported one: ``""`` for 1, ``"y"``, the
        name of a predictor, or ``"ln y"``, to which ln of y's unit is added.
    fixed
        Scaled value that it keeps unless it is asked for, or None.
    floor
        Whether it is an irreducible error, whose interval is found by profile likelihood.
    """

    name: str
    meaning: str
    starts: tuple[float, ...]
    low: float = -inf
    high: float | str = inf
    positive: bool = False
    unit: str = ""
    fixed: float | None = None
    floor: bool = False


@dataclass(frozen=True)
class Scale:
    """The units of a law's scaled numbers: of y, and of each predictor by name."""

    y: float
    references: Mapping[str, float]

    def factor_and_shift(self, coefficient: Coefficient) -> tuple[float, float]:
        """Such that the reported value is factor × scaled + shift."""
        if coefficient.unit == "ln y":
            return 1.0, float(np.log(self.y))
        units = {"": 1.0, "y": self.y, **self.references}
        return units[coefficient.unit], 0.0


@dataclass(frozen=True)
class Law:
    """A relation between predictors and y, as data.

    Attributes
    ----------
    name, purpose
        As asked for; a sentence of what it is for.
    formula
        With ``{y}``, and for each predictor ``x`` its name ``{x}`` and reference ``{x0}``.
    predictors
        Names of their roles, in the order in which `evaluate` takes them.
    coefficients
        In the order in which `evaluate` takes them, after the predictors.
    evaluate
        Scaled predictors, each ``(n,)``, and coefficients, each ``(m, 1)`` → scaled y, ``(m, n)``,
        and for each coefficient the derivative of ln y, broadcastable to ``(m, n)``.
    may_be_zero
        Predictors for which 0 is a value like any other (labels of a method that was not used).
    straight
        The sign of the slope's coefficient if ln y is linear in ln x: +1 or −1; otherwise 0.
    derived
        Name → (meaning, function of the reported coefficients by name and the references).
    change
        The factor on a predictor that the report speaks of: 2 for doubling, 0.5 for halving.
    scaled
        Whether predictors and y are scaled; a law of one's own sees them in the user's units.
    """

    name: str
    purpose: str
    formula: str
    predictors: tuple[str, ...]
    coefficients: tuple[Coefficient, ...]
    evaluate: Evaluate
    may_be_zero: tuple[str, ...] = ()
    straight: int = 0
    derived: Mapping[str, tuple[str, Callable[..., Vector]]] = field(default_factory=dict)
    change: float = 2.0
    scaled: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the coefficients."""
        return tuple(coefficient.name for coefficient in self.coefficients)

    def log_value(self, internal: Vector, predictors: tuple[Vector, ...]) -> tuple[Vector, Vector]:
        """Ln of scaled y, and its derivatives.

        Parameters
        ----------
        internal
            Coefficients, scaled, those that are positive as logarithms; shape ``(m, P)``.
        predictors
            Scaled, each of shape ``(n,)``.

        Returns
        -------
        ln_y, jacobian
            Shapes ``(m, n)`` and ``(m, P, n)``. Where the law has no logarithm, NaN or infinite.
        """
        m, n = len(internal), len(predictors[0])
        with np.errstate(all="ignore"):
            values = self.natural(internal)
            value, derivatives = self.evaluate(*predictors, *(v[:, None] for v in values.T))
            jacobian = np.empty((m, len(self.coefficients), n))
            for place, (spec, derivative) in enumerate(
                zip(self.coefficients, derivatives, strict=True)
            ):
                chain = values[:, place, None] if spec.positive else 1.0
                jacobian[:, place] = derivative * chain
            return np.broadcast_to(np.log(value), (m, n)), jacobian

    def natural(self, internal: Vector) -> Vector:
        """Scaled values of internal ones: the exponential of those that are positive."""
        positive = np.array([spec.positive for spec in self.coefficients])
        return np.where(positive, np.exp(np.where(positive, internal, 0.0)), internal)

    def logarithms(self, scaled: Vector) -> Vector:
        """The inverse of `natural`: the logarithm of those that are positive."""
        positive = np.array([spec.positive for spec in self.coefficients])
        with np.errstate(divide="ignore"):
            return np.where(positive, np.log(np.where(positive, scaled, 1.0)), scaled)

    def reported(self, internal: Vector, scale: Scale) -> Vector:
        """Coefficients in the units of the data, shape ``(…, P)`` as `internal`."""
        factors, shifts = self._units(scale)
        return np.asarray(self.natural(internal) * factors + shifts)

    def internal(self, reported: Vector, scale: Scale) -> Vector:
        """The inverse of `reported`."""
        factors, shifts = self._units(scale)
        return self.logarithms((np.asarray(reported, dtype=float) - shifts) / factors)

    def _units(self, scale: Scale) -> tuple[Vector, Vector]:
        pairs = np.array([scale.factor_and_shift(spec) for spec in self.coefficients])
        return pairs[:, 0], pairs[:, 1]

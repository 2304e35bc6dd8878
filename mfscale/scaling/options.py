"""How a law is to be fitted, beyond the columns; checked once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Literal, get_args

from mfscale.scaling.errors import FitError
from mfscale.scaling.laws import Law

Loss = Literal["squares", "huber"]
Residuals = Literal["log", "linear"]
Intervals = Literal["auto", "t", "wild", "percentile", "bca"]


@dataclass(frozen=True)
class Options:
    """See `mfscale.scaling.fit`; values of coefficients are as reported, not scaled.

    Raises
    ------
    FitError
        For a value that does not exist, or makes no sense.
    """

    level: float = 0.95
    loss: Loss = "squares"
    residuals: Residuals = "log"
    fixed: Mapping[str, float | None] = field(default_factory=dict)
    bounds: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    draws: int | None = None
    intervals: Intervals = "auto"
    seed: int = 0
    delta: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise FitError(f"level = {self.level:g}; give a fraction between 0 and 1, such as 0.95")
        for name, kinds in (("loss", Loss), ("residuals", Residuals), ("intervals", Intervals)):
            value = getattr(self, name)
            if value not in get_args(kinds):
                raise FitError(f"{name} = {value!r}; choose one of {', '.join(get_args(kinds))}")
        if self.draws is not None and self.draws < 0:
            raise FitError(f"draws = {self.draws}; give a number of at least 0")
        if self.delta is not None and (self.loss != "huber" or not 0 < self.delta < inf):
            raise FitError(f"delta = {self.delta:g} goes with loss = 'huber', and is above 0")
        for name, (low, high) in self.bounds.items():
            if any(end is not None and not isfinite(end) for end in (low, high)):
                raise FitError(f"bounds of {name!r}: write None for an end that is open")
            if low is not None and high is not None and not low < high:
                raise FitError(f"bounds of {name!r}: {low:g} is not below {high:g}")

    def check_names(self, law: Law) -> None:
        """Refuse coefficients that the law does not have.

        Raises
        ------
        FitError
            With those it has.
        """
        if self.intervals == "wild" and not self.is_exact(law):
            raise FitError(
                "intervals = 'wild' are of the straight lines, power and line, by plain least "
                f"squares of ln y with nothing held or bounded; the law here is {law.name!r}"
            )
        for name in (*self.fixed, *self.bounds):
            if name not in law.names:
                raise FitError(
                    f"the law {law.name!r} has no coefficient {name!r}; "
                    f"it has {', '.join(law.names)}"
                )

    def is_exact(self, law: Law) -> bool:
        """Whether the law is a straight line in logs, fitted by plain least squares."""
        plain = self.loss == "squares" and self.residuals == "log"
        return bool(law.straight) and plain and not (self.fixed or self.bounds)

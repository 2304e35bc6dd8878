"""What is asked of a law when runs are to be suggested: a prediction, an inverse, a mix."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite

import numpy as np

from mfscale.scaling.cautions import FitWarning
from mfscale.scaling.designs.cheapest_mix import MixNow, mix_now
from mfscale.scaling.errors import FitError
from mfscale.scaling.numerals import format_number
from mfscale.scaling.prediction import Points, points_of
from mfscale.scaling.questions.inversion import invert
from mfscale.scaling.questions.reach import require_decades, require_error
from mfscale.scaling.result import Fit
from mfscale.scaling.vectors import Vector

_STEP = 1e-4  # of ln x: central differences

Told = tuple[FitWarning, ...]


@dataclass(frozen=True)
class Asked:
    """A prediction (`at`), an inverse (`error`), or the cheapest mix (`error` and `costs`).

    Raises
    ------
    FitError
        For anything else, or an error or decades that no law can be asked for.
    """

    at: Points | None = None
    error: float | None = None
    costs: Mapping[str, float] | None = None
    decades: float = 0.0

    def check(self, laws: Sequence[Fit]) -> None:
        """Raise `FitError` for a cost that is of no law's predictor."""
        known = {name for law in laws for name in _names(law)}
        for name in self.costs or ():
            if name not in known:
                of = "; ".join(dict.fromkeys(law.x for law in laws))
                raise FitError(f"cost of {name!r}: the laws are of {of}")

    def __post_init__(self) -> None:
        if self.at is None and self.error is None:
            raise FitError(
                "ask for a prediction, at = …, for its inverse, error = …, or for the cheapest "
                "mix, error = … and costs = …"
            )
        if self.costs is not None and (self.error is None or self.at is not None):
            raise FitError("costs are of the cheapest mix: give them with error = … and no at")
        if self.error is not None:
            require_error(self.error, "the error")
            if self.at is not None and not isinstance(self.at, Mapping):
                raise FitError("beside an error, at names the other predictors: at = {name: value}")
        require_decades(self.decades)


@dataclass(frozen=True)
class Answer:
    """An answer as it is now.

    Attributes
    ----------
    words
        What was asked.
    point
        Role → value, where the law's variance decides how sure the answer is.
    estimate, low, high
        The answer and its interval.
    per_ln_y
        Change of the logarithm of the answer with ln y there: 1 for a prediction.
    """

    words: str
    point: Mapping[str, Vector]
    estimate: float
    low: float
    high: float
    per_ln_y: float


def answers_to(law: Fit, asked: Asked) -> tuple[tuple[Answer, ...], Told]:
    """The answers of one law, none if the error is not reachable; and what to know of them."""
    if asked.error is None:
        return _predictions(law, asked.at if asked.at is not None else {})
    if asked.costs is not None:
        costs = {name: cost for name, cost in asked.costs.items() if name in _names(law)}
        return _cheapest(law, mix_now(law, asked.error, costs, asked.decades))
    held = asked.at if isinstance(asked.at, Mapping) else {}
    return _inverse(law, asked.error, held)


def _predictions(law: Fit, at: Points) -> tuple[tuple[Answer, ...], Told]:
    points = points_of(law, at)
    predicted = law.predict(points)
    answers = []
    for i, row in enumerate(predicted.to_dict("records")):
        point = {role: values[i : i + 1] for role, values in points.items()}
        median, low, high = (float(row[name]) for name in ("median", "mean_low", "mean_high"))
        words = f"median {law.y} at {_where(law, point)}"
        answers.append(Answer(words, point, median, low, high, 1.0))
    return tuple(answers), law.warnings_at(points)


def _inverse(law: Fit, error: float, held: Mapping[str, object]) -> tuple[tuple[Answer, ...], Told]:
    values = _numbers(held)
    found = invert(law, error, at=values)
    if not found.found:
        return (), found.warnings
    columns = {axis.column: role for role, axis in law.axes.items()}
    role = columns[found.column]
    others = {columns[column]: np.array([value]) for column, value in found.at.items()}
    around = found.estimate * np.exp([-_STEP, _STEP])
    slope = float(np.diff(np.log(law.median({**others, role: around})))[0]) / (2 * _STEP)
    where = f" at {_where(law, others)}" if others else ""
    answer = Answer(
        f"{found.column} for {law.y} = {format_number(error)}{where}",
        {r: others.get(r, np.array([found.estimate])) for r in law.axes},
        found.estimate,
        found.low,
        found.high,
        1 / slope,
    )
    return (answer,), found.warnings


def _numbers(held: Mapping[str, object]) -> dict[str, float]:
    """The other predictors of an inverse, a number each."""
    try:
        values = {name: float(value) for name, value in held.items()}  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise FitError("beside an error, at gives each other predictor one number") from None
    for name, value in values.items():
        if not (isfinite(value) and value >= 0):
            raise FitError(f"{name} = {value:g} cannot be held; it must be positive")
    return values


def _cheapest(law: Fit, now: MixNow) -> tuple[tuple[Answer, ...], Told]:
    """Its cost; or, where the draws do not bound that, the error at that mix."""
    if not now.labels or now.per_ln_y == 0:
        return (), now.warnings
    point = {role: np.array([n]) for role, n in now.labels.items()}
    where = _where(law, point)
    of = f"{law.y} = {format_number(now.error)}"
    if isfinite(now.low) and isfinite(now.high):
        words = f"cost of the cheapest mix for {of} ({where})"
        return (Answer(words, point, now.cost, now.low, now.high, now.per_ln_y),), now.warnings
    (answer,), _ = _predictions(law, point)
    words = f"median {law.y} at the cheapest mix for {of} ({where})"
    told = FitWarning(
        "cost-unbounded",
        f"how much the cheapest mix for {of} may cost is not bounded by the law's draws: shown is "
        "the error at that mix, whose variance is narrowed all the same",
    )
    return (replace(answer, words=words),), (*now.warnings, told)


def _names(law: Fit) -> set[str]:
    return {name for role, axis in law.axes.items() for name in (role, axis.column)}


def _where(law: Fit, point: Mapping[str, Vector]) -> str:
    return ", ".join(
        f"{law.axes[role].column} = {format_number(float(value[0]))}"
        for role, value in point.items()
    )

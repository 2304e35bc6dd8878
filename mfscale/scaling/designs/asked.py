"""What is asked of a law when runs are to be suggested: predictions, or the inverse of one."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mfscale.scaling.cautions import FitWarning
from mfscale.scaling.numerals import format_number
from mfscale.scaling.prediction import Points, points_of
from mfscale.scaling.questions.inversion import invert
from mfscale.scaling.result import Fit
from mfscale.scaling.vectors import Vector

_STEP = 1e-4  # of ln x: central differences


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


def answers_to(
    law: Fit, at: Points | None, error: float | None
) -> tuple[tuple[Answer, ...], tuple[FitWarning, ...]]:
    """The answers of one law, none if the error is not reachable; and what to know of them."""
    if error is not None:
        return _inverse(law, error)
    points = points_of(law, at if at is not None else {})
    predicted = law.predict(points)
    answers = []
    for i, row in enumerate(predicted.to_dict("records")):
        point = {role: values[i : i + 1] for role, values in points.items()}
        where = ", ".join(f"{law.axes[r].column} = {format_number(v[0])}" for r, v in point.items())
        median, low, high = (float(row[name]) for name in ("median", "mean_low", "mean_high"))
        answers.append(Answer(f"median {law.y} at {where}", point, median, low, high, 1.0))
    return tuple(answers), law.warnings_at(points)


def _inverse(law: Fit, error: float) -> tuple[tuple[Answer, ...], tuple[FitWarning, ...]]:
    found = invert(law, error)
    if not found.found:
        return (), found.warnings
    (role,) = law.axes
    around = found.estimate * np.exp([-_STEP, _STEP])
    slope = float(np.diff(np.log(law.median(around)))[0]) / (2 * _STEP)
    answer = Answer(
        f"{found.column} for {law.y} = {format_number(error)}",
        {role: np.array([found.estimate])},
        found.estimate,
        found.low,
        found.high,
        1 / slope,
    )
    return (answer,), found.warnings

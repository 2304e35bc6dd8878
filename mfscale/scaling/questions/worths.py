"""What pre-training is worth in target labels, and from where on it no longer pays.

Effective data, as in arXiv 2102.01293: with n target labels a pre-trained model reaches some error;
training without it needs D labels for the same error; the pre-training is worth D − n labels. Below
0 it hurts (negative transfer).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite

import numpy as np
import pandas as pd

from mfscale.scaling.cautions import FitWarning
from mfscale.scaling.errors import FitError
from mfscale.scaling.numerals import format_interval, format_number, format_percent
from mfscale.scaling.questions.belief import belief
from mfscale.scaling.questions.inversion import FURTHEST
from mfscale.scaling.questions.reach import Stretch, reach, stretch
from mfscale.scaling.result import Fit
from mfscale.scaling.rows import Scalar
from mfscale.scaling.vectors import Vector

_GRID = 200  # target labels at which the two laws are compared, over the range of the data


@dataclass(frozen=True, kw_only=True, eq=False)
class Worth:
    """What a pre-training is worth, as a number of target labels.

    Attributes
    ----------
    column, y, group
        The number of target labels, the error, and the group of the pre-trained fit.
    price
        What the pre-training costs, in target labels; 0 if that was not said.
    table
        One row per number of target labels n: the column; ``worth``, by the best estimates,
        infinite if direct training never gets there; ``low``, ``high``; ``helps``, the probability
        that it is worth more than nothing; ``pays``, that it is worth more than its price;
        ``decades_from_data``, of n and of the labels that direct training would need.
    pays_until
        The number of target labels, among those of the data, from which on the pre-training is not
        worth its price by the best estimates; infinite if it is throughout, 0 if it never is.
    level
        Of the intervals.
    warnings
        Of both fits, and for negative transfer and extrapolation.
    """

    column: str
    y: str
    group: dict[str, Scalar]
    price: float
    table: pd.DataFrame = field(repr=False)
    pays_until: float
    level: float
    warnings: tuple[FitWarning, ...]

    def __str__(self) -> str:
        lines = [
            f"with {format_number(row[self.column])} {self.column}, pre-training is worth "
            f"{format_number(row['worth'])} more ({format_percent(self.level)} interval "
            f"{format_interval(row['low'], row['high'])})"
            for row in self.table.to_dict("records")
        ]
        return "\n".join(lines)


def worth(
    direct: Fit, pretrained: Fit, labels: float | Sequence[float], *, price: float = 0.0
) -> Worth:
    """Ask what a pre-training is worth.

    Parameters
    ----------
    direct, pretrained
        Laws of the same error against the same number of target labels, without the pre-training
        and with it; of rows that share no cluster.
    labels
        Numbers of target labels to ask at.
    price
        What the pre-training costs, in target labels.

    Raises
    ------
    FitError
        For fits of different columns or several predictors, labels or a price that are not
        positive, or a law that the data did not determine.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from mfscale.scaling import fit, worth
    >>> labels = np.array([25, 50, 100, 200, 400])
    >>> noise = np.exp(0.01 * np.sin(np.arange(5.0) ** 2))
    >>> alone = pd.DataFrame({"cc": labels, "mae": 60 * labels**-0.5 * noise})
    >>> after = pd.DataFrame({"cc": labels, "mae": 30 * labels**-0.5 * noise})
    >>> [direct] = fit(alone, "power", x="cc", y="mae")
    >>> [pretrained] = fit(after, "power", x="cc", y="mae")
    >>> answer = worth(direct, pretrained, [50])  # half the error: four times the labels
    >>> float(round(answer.table["worth"][0], -1))
    150.0
    """
    for found in (direct, pretrained):
        if len(found.axes) > 1:
            raise FitError(f"worth compares laws of one predictor; {found.law} has several")
    if (direct.x, direct.y) != (pretrained.x, pretrained.y):
        raise FitError(
            f"worth compares laws of the same columns, not {direct.y} against {direct.x} with "
            f"{pretrained.y} against {pretrained.x}"
        )
    if not (isfinite(price) and price >= 0):
        raise FitError(f"price = {price:g}; give the cost of pre-training in target labels")
    n = np.atleast_1d(np.asarray(labels, dtype=float))
    decades = pretrained.predict(n)["decades_from_data"].to_numpy()
    along = stretch(direct, next(iter(direct.axes)), FURTHEST)
    estimate = _worth(direct, pretrained, along, n, direct.internal[None], pretrained.internal)[0]
    draws = _paired_draws(direct, pretrained)
    table = pd.DataFrame({direct.x: n, "worth": estimate})
    if draws is None:
        table[["low", "high", "helps", "pays"]] = np.nan
    else:
        known = belief(direct if direct.n_clusters <= pretrained.n_clusters else pretrained)
        possible = _worth(direct, pretrained, along, n, *draws)
        table["low"] = known.quantile(possible, (1 - direct.level) / 2)
        table["high"] = known.quantile(possible, (1 + direct.level) / 2)
        table["helps"] = known.probability((possible > 0).mean(axis=0))
        table["pays"] = known.probability((possible > price).mean(axis=0))
    needed = np.where(np.isfinite(estimate), n + estimate, along.end)
    beyond = direct.predict(needed)["decades_from_data"].to_numpy()
    table["decades_from_data"] = np.maximum(decades, beyond)
    warnings = dict.fromkeys((*direct.warnings, *pretrained.warnings_at(n)))
    return Worth(
        column=direct.x,
        y=direct.y,
        group=pretrained.group,
        price=price,
        table=table,
        pays_until=_pays_until(direct, pretrained, along, price),
        level=direct.level,
        warnings=(*warnings, *_cautions(table, direct, needed, beyond)),
    )


def _worth(
    direct: Fit, pretrained: Fit, along: Stretch, n: Vector, of_direct: Vector, of_other: Vector
) -> Vector:
    """D − n for each draw and number of labels, ``(m, k)``."""
    reported = pretrained.form.reported(np.atleast_2d(of_other), pretrained.scale)
    errors = np.log(pretrained.median(n, reported))
    places = np.column_stack(
        [reach(direct, along, {}, errors[:, i : i + 1], of_direct) for i in range(len(n))]
    )
    return along.at(places) - n


def _paired_draws(direct: Fit, pretrained: Fit) -> tuple[Vector, Vector] | None:
    """Draws of both, paired at random since the fits share no cluster; None without any."""
    first, second = belief(direct).draws, belief(pretrained).draws
    m = min(len(first), len(second))
    if not m:
        return None
    rng = np.random.default_rng(0)
    return rng.permutation(first)[:m], rng.permutation(second)[:m]


def _pays_until(direct: Fit, pretrained: Fit, along: Stretch, price: float) -> float:
    low, high = pretrained.x_range
    n = np.geomspace(low, high, _GRID)
    estimate = _worth(direct, pretrained, along, n, direct.internal[None], pretrained.internal)[0]
    fails = np.flatnonzero(estimate <= price)
    if not len(fails):
        return float("inf")
    return 0.0 if fails[0] == 0 else float(n[fails[0]])


def _cautions(
    table: pd.DataFrame, direct: Fit, needed: Vector, beyond: Vector
) -> tuple[FitWarning, ...]:
    found = []
    hurt = table[table["worth"] <= 0]
    if len(hurt):
        at = ", ".join(format_number(n) for n in hurt[direct.x])
        sure = "" if hurt["helps"].isna().any() else _how_sure(float(hurt["helps"].max()))
        found.append(
            FitWarning(
                "negative-transfer",
                f"pre-training raises {direct.y} with {at} {direct.x}{sure}",
            )
        )
    if (beyond > 0).any():
        found.append(
            FitWarning(
                "extrapolation",
                f"direct training would need {format_number(float(needed.max()))} {direct.x}, "
                f"{float(beyond.max()):.2f} decades beyond its data "
                f"({direct.x_range[0]:g} to {direct.x_range[1]:g})",
            )
        )
    return tuple(found)


def _how_sure(helps: float) -> str:
    return f" (probability that it helps: {format_number(helps, 2)})"

"""What the cheapest mix costs by the best estimate of a law, and how that cost hangs on the law.

The cheapest mix minimises C = Σ pₘnₘ where ln e(n; θ) = ln E. With a multiplier λ, the labels that
are at no end of what is looked at have pₘ = −λ ∂ln e/∂nₘ, and so, times nₘ and summed over them,
λ = Σ pₘnₘ / κ with κ = −Σ ∂ln e/∂ln nₘ. By the envelope theorem ∂C/∂θ = λ ∂ln e/∂θ at the optimum:
the change of the mix itself is of second order. The variance of ln C is therefore that of ln e at
the mix, times (λ/C)²; without labels at an end, λ/C = 1/κ.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, nan

import numpy as np

from mfscale.scaling.cautions import FitWarning
from mfscale.scaling.errors import FitError
from mfscale.scaling.numerals import format_number
from mfscale.scaling.questions.belief import Belief, belief
from mfscale.scaling.questions.cheapest import CheapestMix, prices_of, unreachable
from mfscale.scaling.result import Fit

_STEP = 1e-4  # of ln n: central differences


@dataclass(frozen=True)
class MixNow:
    """The cheapest mix with which the law's median reaches an error.

    Attributes
    ----------
    error
        In the unit of y.
    labels
        Role → number of labels; empty if no mix that was looked at reaches the error.
    cost, low, high
        Of the labels, in the unit of their costs, and the interval of the least cost: NaN or
        infinite where the fit's draws do not say.
    per_ln_y
        ∂ln cost/∂ln y at the mix, λ/C above; 0 where the fewest labels are enough.
    warnings
        Of the fit, and for extrapolation or an answer at the edge of what was looked at.
    """

    error: float
    labels: Mapping[str, float]
    cost: float
    low: float
    high: float
    per_ln_y: float
    warnings: tuple[FitWarning, ...]


def mix_now(law: Fit, error: float, costs: Mapping[str, float], decades: float) -> MixNow:
    """Find the cheapest mix by the best estimate of a law; `costs` and `decades` as in `mix`.

    Raises
    ------
    FitError
        For a law of one predictor, a cost that is missing, not positive or of no predictor.
    """
    if len(law.axes) < 2:
        raise FitError(f"the {law.law} law of {law.x} knows no mix; give a law in several numbers")
    prices = prices_of(law, costs)
    estimate = Belief(law.internal[None], 1, 0.0)
    search = CheapestMix(law, estimate, prices, decades, 0.5, new_run=False)
    labels = search.cheapest(error)
    if not labels:
        told = unreachable(law, error, None, decades)
        return MixNow(error, {}, inf, nan, nan, 0.0, (*law.warnings, told))
    cost = search.price(labels)
    free = {role: n for role, n in labels.items() if search.inside(role, n)}
    kappa = -sum(_slope(law, labels, role) for role in free)
    spent = sum(prices[role] * n for role, n in free.items())
    per_ln_y = spent / kappa / cost if kappa > 0 else 0.0
    warnings = (*law.warnings_at(labels), *search.at_edge(labels))
    if not per_ln_y:
        why = "the fewest labels that were looked at reach it; no run narrows its cost"
        told = FitWarning("at-edge", f"{law.y} = {format_number(error)}: {why}")
        return MixNow(error, labels, cost, cost, cost, 0.0, (*warnings, told))
    low, high = _interval(law, prices, decades, error)
    return MixNow(error, labels, cost, low, high, per_ln_y, warnings)


def _slope(law: Fit, labels: Mapping[str, float], role: str) -> float:
    """∂ln y/∂ln n of one kind of labels."""
    around = labels[role] * np.exp([-_STEP, _STEP])
    return float(np.diff(np.log(law.median({**labels, role: around})))[0]) / (2 * _STEP)


def _interval(
    law: Fit, prices: Mapping[str, float], decades: float, error: float
) -> tuple[float, float]:
    known = belief(law)
    if not len(known.draws):
        return nan, nan
    search = CheapestMix(law, known, prices, decades, 0.5, new_run=False)
    costs = search.costs_of_draws(error)
    low, high = (float(known.quantile(costs, (1 + s * law.level) / 2)[0]) for s in (-1, 1))
    return low, high

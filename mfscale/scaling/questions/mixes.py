"""The cheapest mix of labels that reaches an error, and what lower errors cost."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, isfinite, nan

import pandas as pd

from mfscale.scaling.cautions import FitWarning
from mfscale.scaling.errors import FitError
from mfscale.scaling.numerals import format_number
from mfscale.scaling.questions.belief import belief
from mfscale.scaling.questions.cheapest import CheapestMix, prices_of, unreachable
from mfscale.scaling.questions.reach import (
    require_decades,
    require_error,
    require_probability,
)
from mfscale.scaling.result import Fit
from mfscale.scaling.rows import Scalar


@dataclass(frozen=True, kw_only=True, eq=False)
class Mix:
    """The cheapest numbers of labels that reach an error with a probability.

    Attributes
    ----------
    y, error, group
        What was asked of which fit.
    law
        By which it was answered.
    probability, new_run
        The probability that the *median* of y of this mix lies below the error, or that one new
        run does.
    labels
        Column → number of labels; NaN if no mix that was looked at reaches the error.
    costs
        Column → cost of a label, as given.
    cost, cost_alone
        Of the labels, in the unit of `costs`; and of reaching the error with labels of the target
        method alone, infinite if as many as were looked at do not, NaN if the law does not hold
        without the others, or no run went without them.
    predicted
        Row of `Fit.predict` at the mix: median, intervals, decades from the data.
    frontier
        One row per error from what few labels reach to what many do: ``error``, ``cost``, and each
        column's number of labels; the same probability holds for each.
    warnings
        Of the fit, and for extrapolation or an answer at the edge of what was looked at.
    """

    y: str
    error: float
    group: dict[str, Scalar]
    law: str
    probability: float
    new_run: bool
    labels: dict[str, float]
    costs: dict[str, float]
    cost: float
    cost_alone: float
    predicted: dict[str, float]
    frontier: pd.DataFrame = field(repr=False)
    warnings: tuple[FitWarning, ...]

    @property
    def found(self) -> bool:
        """Whether some mix reaches the error."""
        return isfinite(self.cost)

    def __str__(self) -> str:
        what = "a new run" if self.new_run else "the median"
        goal = f"{what} of {self.y} ≤ {format_number(self.error)} with probability "
        goal += format_number(self.probability)
        if not self.found:
            return f"{goal}: not reachable"
        counts = ", ".join(f"{name} = {format_number(n)}" for name, n in self.labels.items())
        return f"{goal}: {counts}, at a cost of {format_number(self.cost)}"


def mix(
    fit: Fit,
    error: float,
    *,
    costs: Mapping[str, float],
    probability: float = 0.9,
    new_run: bool = False,
    decades: float = 0.0,
    frontier: int = 8,
) -> Mix:
    """Find the cheapest mix of labels that reaches an error.

    Parameters
    ----------
    fit
        A law in several numbers of labels, such as `fit_mix` finds.
    error
        In the unit of y.
    costs
        Role or column → cost of a label, in any one unit.
    probability, new_run
        That the law's median lies below the error; or that one new run does.
    decades
        How far beyond the data, in each method's labels, mixes are looked for. By default not at
        all: what few labels are worth beyond the fewest that were run, a law guesses boldly.
    frontier
        Points of the frontier of error against cost.

    Raises
    ------
    FitError
        For an error that is not positive, a probability outside of 0 to 1, decades below 0, a cost
        that is missing, not positive or of no predictor, or a law whose uncertainty is unknown.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from mfscale.scaling import fit, mix
    >>> dft, cc = (v.ravel() for v in np.meshgrid([50, 200, 800, 3200], [25, 50, 100, 200, 400]))
    >>> noise = np.exp(0.001 * np.sin(np.arange(20.0) ** 2))
    >>> table = pd.DataFrame({"dft": dft, "cc": cc, "mae": 90 * dft**-0.3 * cc**-0.3 * noise})
    >>> [law] = fit(table, "multiplicative", x={"X": "dft", "f": "cc"}, y="mae")
    >>> answer = mix(law, 5.0, costs={"dft": 1, "cc": 10})
    >>> round(answer.labels["dft"] / answer.labels["cc"])  # equal powers: equal spending
    10
    """
    require_error(error, fit.y)
    require_probability(probability)
    require_decades(decades)
    known = belief(fit)
    if not len(known.draws):
        raise FitError(f"how sure the {fit.law} law is, is unknown: {fit.warnings[0].message}")
    prices = prices_of(fit, costs)
    search = CheapestMix(fit, known, prices, decades, probability, new_run)
    found = search.cheapest(error)
    columns = {role: axis.column for role, axis in fit.axes.items()}
    warnings, predicted = fit.warnings, {}
    frontier_of = search.frontier(frontier)
    if found:
        predicted = {
            str(name): float(value)
            for name, value in fit.predict(found).iloc[0].items()
            if name not in found
        }
        warnings = (*fit.warnings_at(found), *search.at_edge(found))
    else:
        warnings = (*warnings, unreachable(fit, error, probability, decades, frontier_of))
    return Mix(
        y=fit.y,
        error=error,
        group=fit.group,
        law=fit.law,
        probability=probability,
        new_run=new_run,
        labels={column: found.get(role, nan) for role, column in columns.items()},
        costs={columns[role]: price for role, price in prices.items()},
        cost=search.price(found) if found else inf,
        cost_alone=search.alone(error),
        predicted=predicted,
        frontier=frontier_of,
        warnings=warnings,
    )

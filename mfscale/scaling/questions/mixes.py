"""The cheapest mix of labels that reaches an error, and what lower errors cost."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from math import inf, isfinite, log, nan

import numpy as np
import pandas as pd

from mfscale.scaling.cautions import FitWarning
from mfscale.scaling.errors import FitError
from mfscale.scaling.numerals import format_number
from mfscale.scaling.questions.belief import Belief, belief, noise
from mfscale.scaling.questions.reach import (
    Stretch,
    floor_of,
    goals,
    reach,
    require_error,
    require_probability,
)
from mfscale.scaling.result import Fit
from mfscale.scaling.rows import Scalar
from mfscale.scaling.vectors import Vector


@dataclass(frozen=True)
class _Effort:
    """Of a search: draws looked at (the answer is settled with all), and grids closing in."""

    draws: int
    rounds: int


_ANSWER, _FRONTIER = _Effort(500, 6), _Effort(200, 4)
_HALVINGS = 20  # while searching: of a stretch of a few decades, to a part in 10⁵


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
    if not (isfinite(decades) and decades >= 0):
        raise FitError(f"decades = {decades:g} beyond the data; give 0 or more")
    known = belief(fit)
    if not len(known.draws):
        raise FitError(f"how sure the {fit.law} law is, is unknown: {fit.warnings[0].message}")
    prices = _prices(fit, costs)
    search = _Search(fit, known, prices, decades, probability, new_run)
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
        warnings = (*warnings, _unreachable(fit, error, probability, decades, frontier_of))
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


class _Search:
    """Looks at mixes of the other methods; how many target labels each needs is solved for."""

    def __init__(
        self,
        fit: Fit,
        known: Belief,
        prices: Mapping[str, float],
        decades: float,
        probability: float,
        new_run: bool,
    ) -> None:
        self.fit, self.prices, self.probability = fit, prices, probability
        self.known, self.decades = known, decades
        self.noise = noise(fit, known) if new_run else None
        factor = 10.0**decades
        self.ranges = {}
        for role, axis in fit.axes.items():
            lowest = axis.low if axis.low > 0 else axis.reference**2 / axis.high
            self.ranges[role] = (lowest / factor, axis.high * factor)
        self.target = [role for role in fit.axes if role not in fit.form.may_be_zero][-1]
        self.others = [role for role in fit.axes if role != self.target]
        # Going without a method is within the data only where some run did.
        self.absent = [
            role
            for role in self.others
            if role in fit.form.may_be_zero and (fit.axes[role].low == 0 or decades > 0)
        ]
        self.along = Stretch(self.target, *self.ranges[self.target])

    def cheapest(self, error: float, effort: _Effort = _ANSWER) -> dict[str, float]:
        """Role → labels; empty if no mix reaches the error."""
        zero = self.absent
        options = [
            self._best(error, [role for role in self.others if role not in absent], effort)
            for k in range(len(zero) + 1)
            for absent in combinations(zero, k)
        ]
        found = [option for option in options if option]
        return min(found, key=self.price) if found else {}

    def alone(self, error: float) -> float:
        """The cost of reaching the error with target labels alone."""
        if len(self.absent) < len(self.others):
            return nan
        found = self._best(error, [], _ANSWER)
        return self.price(found) if found else inf

    def price(self, labels: Mapping[str, float]) -> float:
        """The cost of some labels."""
        return sum(self.prices[role] * n for role, n in labels.items())

    def frontier(self, n: int) -> pd.DataFrame:
        """The cheapest mixes for errors between what the fewest and the most labels reach."""
        ends = {role: np.array(ends) for role, ends in self.ranges.items()}
        with np.errstate(divide="ignore"):
            ln_y = np.log(
                self.fit.median(ends, self.fit.form.reported(self.known.draws, self.fit.scale))
            )
        worst, best = self.known.quantile(ln_y, self.probability)
        rows = []
        for error in np.exp(np.linspace(worst, best, n + 2)[1:-1]):
            found = self.cheapest(float(error), _FRONTIER)
            if found:
                counts = {self.fit.axes[role].column: v for role, v in found.items()}
                rows.append({"error": float(error), "cost": self.price(found), **counts})
        for i in range(len(rows) - 2, -1, -1):  # what reaches a lower error reaches this one too
            if rows[i + 1]["cost"] < rows[i]["cost"]:
                rows[i] = {**rows[i + 1], "error": rows[i]["error"]}
        columns = [axis.column for axis in self.fit.axes.values()]
        return pd.DataFrame(rows, columns=["error", "cost", *columns])

    def at_edge(self, labels: Mapping[str, float]) -> tuple[FitWarning, ...]:
        """A warning for each number of labels at the end of what was looked at."""
        return tuple(
            FitWarning(
                "at-edge",
                f"{self.fit.axes[role].column} = {format_number(n)} is the "
                f"{'fewest' if n < high / 2 else 'most'} that was looked at, "
                f"{_searched(self.decades)}: a cheaper mix may lie beyond",
            )
            for role, n in labels.items()
            for low, high in [self.ranges[role]]
            if n > 0 and not low * 1.001 < n < high / 1.001
        )

    def _best(self, error: float, used: list[str], effort: _Effort) -> dict[str, float]:
        """The cheapest mix that has labels of the methods in `used` and of the target."""
        low = np.array([log(self.ranges[role][0]) for role in used])
        high = np.array([log(self.ranges[role][1]) for role in used])
        absent = {role: 0.0 for role in self.others if role not in used}
        ends = low, high
        points = 41 if len(used) < 2 else 9
        place = (low + high) / 2
        for _ in range(effort.rounds if used else 1):
            lines = [np.linspace(a, b, points) for a, b in zip(*ends, strict=True)]
            grid = np.array(np.meshgrid(*lines)).reshape(len(used), -1).T if used else place[None]
            labels = {role: np.exp(grid[:, i]) for i, role in enumerate(used)}
            labels |= {role: np.full(len(grid), n) for role, n in absent.items()}
            needed = self._needed(error, labels, effort)
            total = self.prices[self.target] * needed
            total = total + sum(self.prices[role] * n for role, n in labels.items())
            if not np.isfinite(total).any():
                return {}
            place = grid[np.argmin(total)]
            step = (ends[1] - ends[0]) / (points - 1)
            ends = np.maximum(place - step, low), np.minimum(place + step, high)
        labels = {role: np.exp(place[i : i + 1]) for i, role in enumerate(used)}
        labels |= {role: np.array([n]) for role, n in absent.items()}
        labels[self.target] = self._needed(error, labels, None)
        found = {role: float(labels[role][0]) for role in self.fit.axes}
        return found if isfinite(found[self.target]) else {}

    def _needed(self, error: float, others: Mapping[str, Vector], effort: _Effort | None) -> Vector:
        """Target labels with which the error is reached, for each of g mixes of the others."""
        every = max(1, len(self.known.draws) // effort.draws) if effort else 1
        goal = goals(self.fit, error, None if self.noise is None else self.noise[::every])
        halvings = {"halvings": _HALVINGS} if effort else {}
        draws = self.known.draws[::every]
        places = reach(self.fit, self.along, others, goal, draws, **halvings)
        return self.along.at(self.known.quantile(places, self.probability))


def _prices(fit: Fit, costs: Mapping[str, float]) -> dict[str, float]:
    names = {name for role, axis in fit.axes.items() for name in (role, axis.column)}
    for name, cost in costs.items():
        if name not in names:
            known = ", ".join(axis.column for axis in fit.axes.values())
            raise FitError(f"cost of {name!r}: the law is of {known}")
        if not (isfinite(cost) and cost > 0):
            raise FitError(f"cost of {name} = {cost:g}; it must be positive")
    prices = {}
    for role, axis in fit.axes.items():
        if role not in costs and axis.column not in costs:
            raise FitError(f"the cost of a label of {axis.column} is missing; give it")
        prices[role] = float(costs[role] if role in costs else costs[axis.column])
    return prices


def _unreachable(
    fit: Fit, error: float, probability: float, decades: float, frontier: pd.DataFrame
) -> FitWarning:
    floor = floor_of(fit)
    why = f"no mix is that sure among those that were looked at, {_searched(decades)}"
    if floor and error <= floor[1]:
        why = f"the irreducible error {floor[0]} is {format_number(floor[1])}"
    elif len(frontier) and frontier["error"].min() > error:
        why += f"; the frontier goes down to {format_number(frontier['error'].min(), 3)}"
    return FitWarning(
        "not-reachable",
        f"{fit.y} = {format_number(error)} is not reachable with probability "
        f"{format_number(probability)}: {why}",
    )


def _searched(decades: float) -> str:
    if decades:
        return f"up to {format_number(decades)} decades beyond the data"
    return "none beyond the data"

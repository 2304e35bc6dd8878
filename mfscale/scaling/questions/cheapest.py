"""The search for the cheapest mix of labels by one law, and what it costs as that law may be."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from math import inf, isfinite, log, nan

import numpy as np
import pandas as pd

from mfscale.scaling.cautions import FitWarning
from mfscale.scaling.errors import FitError
from mfscale.scaling.numerals import format_number
from mfscale.scaling.questions.belief import Belief, noise
from mfscale.scaling.questions.reach import Stretch, floor_of, goals, reach
from mfscale.scaling.result import Fit
from mfscale.scaling.vectors import Vector


@dataclass(frozen=True)
class _Effort:
    """Of a search: draws looked at (the answer is settled with all), and grids closing in."""

    draws: int
    rounds: int


_ANSWER, _FRONTIER = _Effort(500, 6), _Effort(200, 4)
_HALVINGS = 20  # while searching: of a stretch of a few decades, to a part in 10⁵
_FURTHER = 3.0  # decades of target labels beyond the range, so that few draws' costs are unknown
_POINTS = {1: 81, 2: 17}  # of a draw's grid along each other method: costs to a part in 10³


class CheapestMix:
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
        options = [self._best(error, used, effort) for used in self._choices()]
        found = [option for option in options if option]
        return min(found, key=self.price) if found else {}

    def alone(self, error: float) -> float:
        """The cost of reaching the error with target labels alone."""
        if len(self.absent) < len(self.others):
            return nan
        found = self._best(error, [], _ANSWER)
        return self.price(found) if found else inf

    def costs_of_draws(self, error: float) -> Vector:
        """The cost of the cheapest mix in each of m draws, ``(m, 1)``; infinite where none reaches.

        As of `cheapest`, but that a draw may need more target labels than are looked at there.
        """
        every = max(1, len(self.known.draws) // _ANSWER.draws)
        draws = self.known.draws[::every]
        along = Stretch(self.target, self.along.start, self.along.end * 10**_FURTHER)
        costs = np.full(len(draws), inf)
        for used in self._choices():
            points = _POINTS.get(len(used), 9)
            lines = [np.geomspace(*self.ranges[role], points) for role in used]
            grid = np.array(np.meshgrid(*lines)).reshape(len(used), points ** len(used))
            labels = dict(zip(used, grid, strict=True))
            absent = np.zeros(points ** len(used))
            labels |= {role: absent for role in self.others if role not in used}
            needed = along.at(reach(self.fit, along, labels, log(error), draws, _HALVINGS + 4))
            total = self.prices[self.target] * needed
            total = total + sum(self.prices[role] * n for role, n in labels.items())
            costs = np.minimum(costs, total.min(axis=1))
        return costs[:, None]

    def inside(self, role: str, n: float) -> bool:
        """Whether a number of labels is at no end of what was looked at."""
        low, high = self.ranges[role]
        return bool(low * 1.001 < n < high / 1.001)

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
                f"{searched(self.decades)}: a cheaper mix may lie beyond",
            )
            for role, n in labels.items()
            for _, high in [self.ranges[role]]
            if n > 0 and not self.inside(role, n)
        )

    def _choices(self) -> list[list[str]]:
        """Which other methods may have labels at all."""
        k_absent = range(len(self.absent) + 1)
        absences = [absent for k in k_absent for absent in combinations(self.absent, k)]
        return [[role for role in self.others if role not in absent] for absent in absences]

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


def prices_of(fit: Fit, costs: Mapping[str, float]) -> dict[str, float]:
    """Role → cost of a label; `FitError` unless each is given and positive."""
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


def unreachable(
    fit: Fit,
    error: float,
    probability: float | None,
    decades: float,
    frontier: pd.DataFrame | None = None,
) -> FitWarning:
    """Why no mix reaches an error with a probability, or (None) by the law's best estimate."""
    sure, why = "", "the law stays above it in all mixes that were looked at"
    if probability is not None:
        sure = f" with probability {format_number(probability)}"
        why = "no mix is that sure among those that were looked at"
    floor = floor_of(fit)
    why = f"{why}, {searched(decades)}"
    if floor and error <= floor[1]:
        why = f"the irreducible error {floor[0]} is {format_number(floor[1])}"
    elif frontier is not None and len(frontier) and frontier["error"].min() > error:
        why += f"; the frontier goes down to {format_number(frontier['error'].min(), 3)}"
    return FitWarning(
        "not-reachable", f"{fit.y} = {format_number(error)} is not reachable{sure}: {why}"
    )


def searched(decades: float) -> str:
    """How far mixes were looked for."""
    if decades:
        return f"up to {format_number(decades)} decades beyond the data"
    return "none beyond the data"

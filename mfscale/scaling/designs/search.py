"""The candidates that most reduce the variance asked for, within a budget.

V-optimal design (V. V. Fedorov, *Theory of Optimal Experiments*, 1972): first greedily, by variance
removed per unit cost, in steps of one run or of a few that share a new cluster's cost; then by
exchanging single runs while that helps. A handful of candidates is searched exactly.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mfscale.scaling.designs.information import Information
from mfscale.scaling.vectors import Indices, Vector

_EXACTLY = 10  # candidates up to which all subsets are looked at
_BUNDLE = 4  # runs of one new cluster that are weighed together
_PAIRS = 8  # chosen runs up to which pairs of them are exchanged too
_ROUNDS = 20
_GAIN = 1e-9  # relative: less is no improvement


@dataclass(frozen=True, eq=False)
class Prices:
    """What candidates cost.

    Attributes
    ----------
    own
        Of each, shape ``(N,)``.
    setup
        The place in `shared` of what it needs before, or −1; shape ``(N,)``.
    shared
        Cost of that, paid once.
    budget
        Of all together.
    """

    own: Vector
    setup: Indices
    shared: Vector
    budget: float

    def total(self, chosen: Sequence[int]) -> float:
        """Of some candidates and what they need before."""
        setups = {int(self.setup[i]) for i in chosen} - {-1}
        return float(sum(self.own[i] for i in chosen) + sum(self.shared[s] for s in setups))


@dataclass(frozen=True, eq=False)
class Search:
    """Looks for the best candidates; `weights` of each law's asked variances, ``(q,)`` each."""

    laws: tuple[Information, ...]
    weights: tuple[Vector, ...]
    prices: Prices

    def value(self, chosen: Sequence[int]) -> float:
        """The weighted mean of the variances asked for."""
        places = np.array(chosen, dtype=np.intp)
        parts = zip(self.laws, self.weights, strict=True)
        return float(sum(law.variance(places) @ weight for law, weight in parts))

    def best(self) -> tuple[list[int], bool]:
        """The candidates chosen, in the order in which they help, and whether that is exact."""
        n = len(self.prices.own)
        if n <= _EXACTLY:
            return self._ordered(self._exactly(n)), True
        return self.heuristically(), False

    def heuristically(self) -> list[int]:
        """The better of two greedy searches, by gain per cost and by gain, after exchanges."""
        starts = [self._exchanged(self._greedily(per_cost)) for per_cost in (True, False)]
        return self._ordered(min(starts, key=self.value))

    def _exactly(self, n: int) -> list[int]:
        subsets = (list(s) for k in range(n + 1) for s in combinations(range(n), k))
        affordable = [s for s in subsets if self.prices.total(s) <= self.prices.budget]
        values = np.array([self.value(s) for s in affordable])
        good = np.flatnonzero(values <= values.min() * (1 + _GAIN))
        return min((affordable[i] for i in good), key=self.prices.total)

    def _ordered(self, wanted: Sequence[int]) -> list[int]:
        chosen: list[int] = []
        left = list(wanted)
        while left:
            values = self._with_one_more(chosen, left)
            chosen.append(left.pop(int(np.argmin(values))))
        return chosen

    def _greedily(self, per_cost: bool) -> list[int]:
        chosen: list[int] = []
        while True:
            now = self.value(chosen)
            moves = [m for m in self._moves(chosen) if m[1] < now * (1 - _GAIN)]
            if not moves:
                return chosen
            gains = np.array([now - left for _, left in moves])
            if per_cost:
                spent = self.prices.total(chosen)
                costs = [self.prices.total([*chosen, *move]) - spent for move, _ in moves]
                gains /= np.maximum(costs, 1e-9 * self.prices.budget)
            chosen += moves[int(np.argmax(gains))][0]

    def _moves(self, chosen: list[int]) -> Iterator[tuple[list[int], float]]:
        """Candidates that may be added, one or a bundle, and the variance that they leave."""
        singles = self._affordable(chosen)
        yield from (
            ([int(i)], float(v))
            for i, v in zip(singles, self._with_one_more(chosen, singles), strict=True)
        )
        paid = {int(self.prices.setup[i]) for i in chosen}
        for setup in sorted({int(self.prices.setup[i]) for i in singles} - paid - {-1}):
            bundle: list[int] = []
            for _ in range(_BUNDLE):
                left = self._affordable([*chosen, *bundle])
                left = left[self.prices.setup[left] == setup]
                if not len(left):
                    break
                values = self._with_one_more([*chosen, *bundle], left)
                bundle.append(int(left[np.argmin(values)]))
                if len(bundle) > 1:
                    yield list(bundle), float(values.min())

    def _exchanged(self, chosen: list[int]) -> list[int]:
        """Leave out one run, a pair, or all of a new cluster, and buy again, while that helps."""
        for _ in range(_ROUNDS):
            before = self.value(chosen)
            setups = {int(self.prices.setup[i]) for i in chosen} - {-1}
            together = [{i for i in chosen if self.prices.setup[i] == s} for s in sorted(setups)]
            pairs = combinations(chosen, 2) if len(chosen) <= _PAIRS else ()
            for gone in [*({i} for i in chosen), *together, *map(set, pairs)]:
                if not gone <= set(chosen):
                    continue
                again = self._filled([i for i in chosen if i not in gone])
                if self.value(again) < self.value(chosen) * (1 - _GAIN):
                    chosen = again
            if self.value(chosen) >= before * (1 - _GAIN):
                break
        return chosen

    def _filled(self, chosen: list[int]) -> list[int]:
        """With single runs added, the best first, until none helps or can be paid."""
        now = self.value(chosen)
        while len(left := self._affordable(chosen)):
            values = self._with_one_more(chosen, left)
            if values.min() >= now * (1 - _GAIN):
                break
            now = float(values.min())
            chosen = [*chosen, int(left[np.argmin(values)])]
        return chosen

    def _affordable(self, chosen: Sequence[int]) -> Indices:
        prices = self.prices
        paid = {int(prices.setup[i]) for i in chosen} | {-1}
        extra = np.array([0.0 if int(s) in paid else prices.shared[s] for s in prices.setup])
        left = prices.budget - prices.total(chosen)
        fits = prices.own + extra <= left * (1 + 1e-12)
        fits[list(chosen)] = False
        return np.flatnonzero(fits)

    def _with_one_more(self, chosen: Sequence[int], more: Sequence[int] | Indices) -> Vector:
        places, more = np.array(chosen, dtype=np.intp), np.asarray(more, dtype=np.intp)
        parts = zip(self.laws, self.weights, strict=True)
        found = [law.variances_with_one_more(places, more) @ weight for law, weight in parts]
        return np.asarray(np.sum(found, axis=0))

"""Suggested runs: against derivations, an exact search, and simulated studies that go on."""

import numpy as np
import pandas as pd
import pytest

from mfscale.scaling import Fit, FitError, fit, suggest
from mfscale.scaling.designs.components import Components, components
from mfscale.scaling.designs.information import Information
from mfscale.scaling.designs.search import Prices, Search

LAW = {"x": "labels", "y": "mae", "cluster": "root"}
BETWEEN, WITHIN = 0.15, 0.08


def runs(labels: np.ndarray, roots: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """Errors of 60·labels^−0.5, in checkpoints that scatter by 0.15 and runs that do by 0.08."""
    names, place = np.unique(roots, return_inverse=True)
    noise = BETWEEN * rng.standard_normal(len(names))[place]
    noise = noise + WITHIN * rng.standard_normal(len(labels))
    return pd.DataFrame({"labels": labels, "root": roots, "mae": 60 * labels**-0.5 * np.exp(noise)})


def study(n_roots: int, rng: np.random.Generator) -> pd.DataFrame:
    sizes = np.array([25.0, 50.0, 100.0])
    return runs(np.tile(sizes, n_roots), np.repeat(np.arange(n_roots), 3), rng)


def offered(n_roots: int, new: int) -> pd.DataFrame:
    """Other sizes of known checkpoints at 1 a run; new ones, which cost 4 before that."""
    rows = [
        {"labels": float(x), "root": r, "cost": 1.0, "setup": None, "setup_cost": 0.0}
        for r in range(n_roots)
        for x in (12, 200, 400)
    ]
    rows += [
        {"labels": float(x), "root": r, "cost": 1.0, "setup": f"root {r}", "setup_cost": 4.0}
        for r in range(n_roots, n_roots + new)
        for x in (12, 25, 50, 100, 200, 400)
    ]
    return pd.DataFrame(rows)


def fitted(table: pd.DataFrame) -> Fit:
    [law] = fit(table, "power", **LAW)
    return law


def test_variances_are_recovered() -> None:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(100):
        table = study(12, rng)
        ln_x = np.log(table["labels"].to_numpy())
        design = np.column_stack([ln_x, np.ones_like(ln_x)])
        ln_y = np.log(table["mae"].to_numpy())
        residuals = ln_y - design @ np.linalg.lstsq(design, ln_y, rcond=None)[0]
        found.append(components(design, residuals, table["root"].to_numpy()))
    kept = [c for c in found if c is not None]
    assert np.mean([c.between for c in kept]) == pytest.approx(BETWEEN**2, rel=0.1)
    assert np.mean([c.within for c in kept]) == pytest.approx(WITHIN**2, rel=0.1)


def test_variance_is_that_of_generalised_least_squares() -> None:
    """(Jᵀ V⁻¹ J)⁻¹ with the scatter V written out in full (Aitken 1936)."""
    rng = np.random.default_rng(1)
    clusters = np.array([0, 0, 0, 1, 1, 2])
    J = np.column_stack([rng.normal(size=6), np.ones(6)])
    more, of = np.column_stack([rng.normal(size=3), np.ones(3)]), np.array([1, 3, 3])
    asked = np.array([[2.0, 1.0], [0.5, 1.0]])
    known = Information(Components(0.3, 0.1), J, clusters, more, of, asked)
    chosen = np.array([0, 1])

    def variance(extra: list[int]) -> np.ndarray:
        rows = np.concatenate([J, more[extra]])
        same = np.concatenate([clusters, of[extra]])
        V = 0.3 * (same[:, None] == same) + 0.1 * np.eye(len(same))
        inverse = np.linalg.inv(rows.T @ np.linalg.inv(V) @ rows)
        return np.array([g @ inverse @ g for g in asked])

    assert known.variance(chosen) == pytest.approx(variance([0, 1]), rel=1e-6)
    one_more = known.variances_with_one_more(chosen, np.array([2]))
    assert one_more[0] == pytest.approx(variance([0, 1, 2]), rel=1e-6)
    assert known.n_clusters(chosen) == 4


def test_new_checkpoints_are_suggested_where_they_are_what_is_lacking() -> None:
    """A fourth checkpoint tells more than a run of three that scatter; at 30 times the cost not."""
    table = study(3, np.random.default_rng(2))
    table["mae"] *= table["root"].map({0: 0.7, 1: 1.0, 2: 1.4})
    law = fitted(table)
    candidates = offered(3, 2)
    cheap = suggest(law, table, candidates.assign(setup_cost=0.0), at=100, budget=1)
    assert cheap.chosen["root"].tolist()[0] >= 3
    dear = suggest(law, table, candidates.assign(setup_cost=30.0), at=100, budget=20)
    assert (dear.chosen["root"] < 3).all()


def test_the_cost_of_a_checkpoint_is_paid_once() -> None:
    law = fitted(table := study(4, np.random.default_rng(3)))
    answer = suggest(law, table, offered(4, 3), at=400, budget=14)
    chosen = answer.chosen
    setups = chosen.dropna(subset="setup")["setup"].nunique()
    assert answer.cost == len(chosen) + 4 * setups <= 14
    assert not answer.exact
    row = answer.answers.iloc[0]
    assert row["low"] < row["expected_low"] < row["estimate"] < row["expected_high"] < row["high"]
    assert list(answer.components.columns) == ["between", "within"]
    assert "extrapolation" in {w.code for _, ws in answer.warnings for w in ws}


def test_the_inverse_is_narrowed_too() -> None:
    law = fitted(table := study(4, np.random.default_rng(4)))
    answer = suggest(law, table, offered(4, 3), error=3.0, budget=12)
    row = answer.answers.iloc[0]
    assert row["estimate"] == pytest.approx(400, rel=0.5)
    assert row["expected_high"] / row["expected_low"] < row["high"] / row["low"]
    assert row["asked"] == "labels for mae = 3"


@pytest.mark.parametrize("seed", range(5))
def test_greedy_with_exchange_is_close_to_exact(seed: int) -> None:
    rng = np.random.default_rng(seed)
    clusters = np.repeat([0, 1, 2], 3)
    J = np.column_stack([np.tile([-1.0, 0.0, 1.0], 3), np.ones(9)])
    more = np.column_stack([rng.uniform(-2, 2, 10), np.ones(10)])
    of = rng.integers(0, 6, 10)
    law = Information(Components(0.2, 0.1), J, clusters, more, of, np.array([[1.5, 1.0]]))
    new = np.where(of > 2, of - 3, -1)
    prices = Prices(rng.uniform(0.5, 2, 10), new, np.array([2.0, 2.0, 2.0]), 6.0)
    search = Search((law,), (np.ones(1),), prices)
    best, exact = search.best()
    assert exact
    greedy = search.heuristically()
    assert prices.total(greedy) <= 6
    assert search.value(best) <= search.value(greedy) <= 1.1 * search.value(best)


def at_random(candidates: pd.DataFrame, budget: float, rng: np.random.Generator) -> pd.DataFrame:
    """Runs in random order, each taken if it can still be paid."""
    taken: list[int] = []
    paid: set[str] = set()
    left = budget
    for i in rng.permutation(len(candidates)):
        row = candidates.iloc[i]
        cost = row["cost"] + (row["setup_cost"] if row["setup"] not in {None, *paid} else 0.0)
        if cost <= left:
            left -= cost
            taken.append(i)
            paid.add(row["setup"])
    return candidates.iloc[taken]


def continued(table: pd.DataFrame, added: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """The table with these runs made: a known checkpoint keeps what it had, a new one is drawn."""
    known = np.log(table["mae"] / (60 * table["labels"] ** -0.5)).groupby(table["root"]).mean()
    # Of a checkpoint's own deviation, given its runs: normal, its mean shrunken, its variance left.
    n = table.groupby("root").size()
    share = n * BETWEEN**2 / (n * BETWEEN**2 + WITHIN**2)
    own = known * share + (BETWEEN**2 * (1 - share)) ** 0.5 * rng.standard_normal(len(known))
    fresh = {r: BETWEEN * rng.standard_normal() for r in sorted({*added["root"]} - {*known.index})}
    deviation = added["root"].map({**own, **fresh}) + WITHIN * rng.standard_normal(len(added))
    mae = 60 * added["labels"] ** -0.5 * np.exp(deviation)
    return pd.concat([table, added[["labels", "root"]].assign(mae=mae)], ignore_index=True)


def width(law: Fit, at: float) -> float:
    row = law.predict(at).iloc[0]
    return float(np.log(row["mean_high"] / row["mean_low"]))


@pytest.mark.slow
@pytest.mark.parametrize(("at", "n_roots"), [(1000.0, 8), (100.0, 8), (1000.0, 12)])
def test_suggested_runs_narrow_more_than_random_ones_of_the_same_cost(
    at: float, n_roots: int
) -> None:
    """60 studies continued both ways; the intervals are also about as wide as was foretold."""
    rng = np.random.default_rng(5)
    suggested, random, foretold, before, errors = [], [], [], [], []
    for _ in range(60):
        table = study(n_roots, rng)
        law, candidates = fitted(table), offered(n_roots, 6)
        answer = suggest(law, table, candidates, at=at, budget=20)
        after = fitted(continued(table, answer.chosen, rng))
        other = fitted(continued(table, at_random(candidates, 20, rng), rng))
        before.append(width(law, at))
        suggested.append(width(after, at))
        random.append(width(other, at))
        foretold.append(before[-1] * answer.answers["narrowing"][0])
        truth = np.log(60 * at**-0.5)
        errors.append([(np.log(f.predict(at)["median"][0]) - truth) ** 2 for f in (after, other)])
    # In the middle of the data, where runs at any size tell of the height, less is to be won.
    assert np.mean(suggested) < (0.9 if at > 100 else 0.95) * np.mean(random)
    assert np.mean(suggested) < np.mean(before)
    assert np.mean(foretold) == pytest.approx(np.mean(suggested), rel=0.15)


def test_groups_that_share_candidates_are_narrowed_together() -> None:
    rng = np.random.default_rng(6)
    parts = {name: study(4, rng) for name in ("dft", "none")}
    table = pd.concat([t.assign(after=n) for n, t in parts.items()], ignore_index=True)
    table["root"] = table["after"] + table["root"].astype(str)
    laws = fit(table, "power", group="after", **LAW)
    rows = [{"labels": x, "root": f"{a}0", "after": a} for a in parts for x in (10, 400, 800)]
    answer = suggest(laws, table, pd.DataFrame(rows), at=1000, budget=2)
    assert set(answer.chosen["after"]) == {"dft", "none"}
    assert answer.answers["runs"].tolist() == [1, 1]
    assert "2 runs at a cost of 2 of 2" in str(answer)


def test_bad_questions_of_a_suggestion() -> None:
    law = fitted(table := study(4, np.random.default_rng(7)))
    candidates = offered(4, 1)
    for options, words in (
        ({"budget": 5.0}, "at = … "),
        ({"budget": -1.0, "at": 100.0}, "budget = -1"),
        ({"budget": 0.1, "at": 100.0}, "buys no run"),
        ({"budget": 1.0, "error": 1e-9}, "not reachable"),
    ):
        with pytest.raises(FitError, match=words.strip()):
            suggest(law, table, candidates, **options)
    with pytest.raises(FitError, match="no column 'root'"):
        suggest(law, table, candidates.drop(columns="root"), at=100, budget=1)
    with pytest.raises(FitError, match="not the one"):
        suggest(law, table[1:], candidates, at=100, budget=1)
    with pytest.raises(FitError, match="cost = -1"):
        suggest(law, table, candidates.assign(cost=-1.0), at=100, budget=1)

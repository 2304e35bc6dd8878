"""Suggested runs: against derivations, an exact search, and simulated studies that go on."""

import numpy as np
import pandas as pd
import pytest

from mfscale.scaling import Fit, FitError, fit, mix, suggest
from mfscale.scaling.designs.cheapest_mix import mix_now
from mfscale.scaling.designs.components import Components, components
from mfscale.scaling.designs.information import Information
from mfscale.scaling.designs.search import Prices, Search
from mfscale.scaling.questions.belief import Belief
from mfscale.scaling.questions.cheapest import CheapestMix

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


COSTS = {"dft": 1.0, "cc": 10.0}


def mixed(design: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Errors of 90·dft^−0.2·cc^−0.4, with the scatter of `runs`."""
    names, place = np.unique(design["root"], return_inverse=True)
    noise = BETWEEN * rng.standard_normal(len(names))[place]
    noise = noise + WITHIN * rng.standard_normal(len(design))
    return design.assign(mae=90 * design["dft"] ** -0.2 * design["cc"] ** -0.4 * np.exp(noise))


def crossed(n_roots: int, dft: list[int], cc: list[int], first: int = 0) -> pd.DataFrame:
    rows = [(d, c, r) for r in range(first, first + n_roots) for d in dft for c in cc]
    return pd.DataFrame(rows, columns=["dft", "cc", "root"])


def of_two(table: pd.DataFrame, floor: float | None = 0.0) -> Fit:
    x, fixed = {"X": "dft", "f": "cc"}, {} if floor is None else {"E": floor}
    [law] = fit(table, "multiplicative", x=x, y="mae", cluster="root", fixed=fixed)
    return law


def mixes(n_roots: int = 8) -> tuple[Fit, pd.DataFrame, pd.DataFrame]:
    """A law, its table, and other runs of known and of new checkpoints."""
    table = mixed(crossed(n_roots, [100, 300, 900], [25, 100, 400]), np.random.default_rng(8))
    return of_two(table), table, crossed(n_roots + 3, [30, 100, 900, 2700], [12, 25, 400])


@pytest.mark.parametrize(("error", "decades"), [(3.3, 0.0), (2.4, 0.0), (2.4, 1.0)])
def test_the_cost_of_a_mix_changes_as_the_envelope_theorem_says(
    error: float, decades: float
) -> None:
    """∂ln C*/∂θ = factor · ∂ln e/∂θ: the mix is sought again for each changed law.

    The second error takes all the DFT labels there are, so that they are no longer free.
    """
    law, _, _ = mixes()
    now = mix_now(law, error, COSTS, decades)
    assert ("at-edge" in {w.code for w in now.warnings}) == ((error, decades) == (2.4, 0.0))
    prices = {"X": 1.0, "f": 10.0}

    def ln_cost(internal: np.ndarray) -> float:
        one = Belief(internal[None], 1, 0.0)
        found = CheapestMix(law, one, prices, decades, 0.5, new_run=False)
        return float(np.log(found.price(found.cheapest(error))))

    point = law.scaled({role: np.array([n]) for role, n in now.labels.items()})
    gradient = law.form.log_value(law.internal[None], point)[1][0, :, 0]
    for name in law.solution.estimated:
        place = law.form.names.index(name)
        step = np.zeros(len(law.internal))
        step[place] = 0.005
        slope = (ln_cost(law.internal + step) - ln_cost(law.internal - step)) / 0.01
        assert slope == pytest.approx(now.per_ln_y * gradient[place], rel=0.02, abs=1e-3)


def test_without_an_edge_the_factor_is_one_over_the_sum_of_exponents() -> None:
    """C* ∝ (A/E)^(1/(α + β)) on p^α·f^β = A/E (Lagrange)."""
    law, _, _ = mixes()
    now = mix_now(law, 3.3, COSTS, 1.0)
    powers = [law.parameters[name].estimate for name in ("exponent_X", "exponent_f")]
    assert now.per_ln_y == pytest.approx(1 / sum(powers), rel=1e-4)
    assert now.cost == pytest.approx(
        mix(law, 3.3, costs=COSTS, decades=1.0, probability=0.5).cost, rel=0.02
    )
    # Of this law ln C* is, up to the mix's own exponents, ln e over the sum: about as wide.
    row = law.predict({"dft": now.labels["X"], "cc": now.labels["f"]}).iloc[0]
    wide = np.log(row["mean_high"] / row["mean_low"]) * now.per_ln_y
    assert np.log(now.high / now.low) == pytest.approx(wide, rel=0.15)


def test_a_mix_and_an_inverse_are_narrowed_by_the_runs_that_a_prediction_there_is() -> None:
    """Both answers' logarithms vary as ln y does at their place, times a constant."""
    law, table, candidates = mixes()

    def asked(**question: object) -> tuple[list[int], float, str]:
        found = suggest(law, table, candidates, budget=6, **question)  # type: ignore[arg-type]
        row = found.answers.iloc[0]
        assert row["low"] < row["expected_low"] < row["estimate"] < row["expected_high"]
        return found.chosen.index.tolist(), row["narrowing"], row["asked"]

    labels = mix_now(law, 3.3, COSTS, 0.0).labels
    there = asked(at=labels)
    cheapest = asked(error=3.3, costs=COSTS)
    assert cheapest[:2] == (there[0], pytest.approx(there[1]))
    assert cheapest[2].startswith("cost of the cheapest mix for mae = 3.30 (dft = ")
    inverse = asked(error=3.3, at={"dft": labels["X"]})
    assert inverse[:2] == (there[0], pytest.approx(there[1]))
    assert inverse[2].startswith("cc for mae = 3.30 at dft = ")


@pytest.mark.slow
def test_the_cost_of_the_cheapest_mix_scatters_as_foretold() -> None:
    """200 studies drawn anew, without and with the suggested runs, against the delta method."""
    law, table, candidates = mixes(12)
    chosen = suggest(law, table, candidates, budget=8, error=3.3, costs=COSTS).chosen
    more = pd.concat([table[["dft", "cc", "root"]], chosen], ignore_index=True)
    truth = 0.2 + 0.4  # the factor is one over it
    ratio = 0.2 / 0.4 * COSTS["cc"] / COSTS["dft"]  # of dft to cc at the optimum
    cc = (90 / 3.3 * ratio**-0.2) ** (1 / truth)
    rng = np.random.default_rng(9)
    for design in (table[["dft", "cc", "root"]], more):
        J = np.column_stack([np.log(design["dft"]), np.log(design["cc"]), np.ones(len(design))])
        same = design["root"].to_numpy()[:, None] == design["root"].to_numpy()
        V = BETWEEN**2 * same + WITHIN**2 * np.eye(len(design))
        # What fits do, which is not to weigh: least squares, with its variance under V.
        bread = np.linalg.inv(J.T @ J)
        g = np.array([np.log(ratio * cc), np.log(cc), 1.0]) / truth
        foretold = float(np.sqrt(g @ bread @ J.T @ V @ J @ bread @ g))
        found = []
        for _ in range(200):
            again = of_two(mixed(design, rng))
            found.append(np.log(mix_now(again, 3.3, COSTS, 1.0).cost))
        assert np.std(found) == pytest.approx(foretold, rel=0.15)  # 1/√400 = 5% is its own noise


def test_a_cost_that_draws_do_not_bound_is_answered_by_the_error_there() -> None:
    """Of two checkpoints the law has no interval at all, and so the cost has none."""
    table = mixed(crossed(1, [100, 300, 900], [25, 100, 400]), np.random.default_rng(10))
    more = crossed(3, [100, 900], [25, 400])
    found = suggest(of_two(table), table, more, error=3.3, costs=COSTS, budget=4)
    row = found.answers.iloc[0]
    assert row["asked"].startswith("median mae at the cheapest mix for mae = 3.30 (dft = ")
    assert row["estimate"] == pytest.approx(3.3, rel=1e-3)
    assert np.isnan(row["low"])
    assert "cost-unbounded" in {w.code for _, ws in found.warnings for w in ws}


def test_larger_models_are_suggested_for_what_larger_models_do() -> None:
    """Of 20·(N/10⁴)^−0.5 + 60·D^−0.5 at N = 10⁵, runs of N = 10⁵ tell more than of N = 10⁴."""
    rng = np.random.default_rng(11)
    design = crossed(6, [10_000, 30_000], [25, 100, 400]).rename(columns={"dft": "N", "cc": "D"})
    noise = np.exp(WITHIN * rng.standard_normal(len(design)))
    mae = (20 * (design["N"] / 1e4) ** -0.5 + 60 * design["D"] ** -0.5) * noise
    table = design.assign(mae=mae)
    x = {"N": "N", "D": "D"}
    [law] = fit(table, "additive", x=x, y="mae", cluster="root", fixed={"E": 0.0})
    more = crossed(9, [10_000, 100_000], [100, 400]).rename(columns={"dft": "N", "cc": "D"})
    found = suggest(law, table, more, at={"N": 1e5, "D": 400}, budget=3)
    assert found.chosen["N"].tolist() == [100_000] * 3
    assert found.answers["narrowing"][0] < 1


def test_bad_questions_of_a_mix() -> None:
    law, table, candidates = mixes()
    for options, words in (
        ({"costs": COSTS}, "ask for a prediction"),
        ({"costs": COSTS, "at": {"dft": 1, "cc": 1}}, "with error"),
        ({"costs": {"dft": 1.0}, "error": 3.0}, "cost of a label of cc is missing"),
        ({"costs": {**COSTS, "xtb": 1.0}, "error": 3.0}, "cost of 'xtb'"),
        ({"costs": {**COSTS, "cc": 0.0}, "error": 3.0}, "must be positive"),
        ({"costs": COSTS, "error": -3.0}, "above 0"),
        ({"costs": COSTS, "error": 0.1}, "stays above it in all mixes that were looked at"),
        ({"costs": COSTS, "error": 3.0, "decades": -1.0}, "decades = -1"),
        ({"costs": COSTS, "error": 90.0}, "the fewest labels that were looked at reach it"),
        ({"error": 3.0}, "all of them but the one"),
        ({"error": 3.0, "at": {"dft": -1.0}}, "dft = -1"),
        ({"error": 3.0, "at": 100.0}, "at names the other predictors"),
        ({"error": 3.0, "at": {"dft": [1, 2]}}, "one number"),
    ):
        with pytest.raises(FitError, match=words):
            suggest(law, table, candidates, budget=3, **options)
    one = fitted(small := study(4, np.random.default_rng(7)))
    with pytest.raises(FitError, match="knows no mix"):
        suggest(one, small, offered(4, 1), budget=3, error=3.0, costs={"labels": 1.0})


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

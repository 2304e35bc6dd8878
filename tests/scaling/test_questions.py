"""Inverse questions, mixes and worth, where the true answer follows by derivation."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfscale.scaling import Fit, FitError, fit, fit_mix, invert, mix, worth


def table_of(law: str = "power", sigma: float = 0.02, seed: int = 0) -> pd.DataFrame:
    x = np.tile(np.geomspace(10, 1000, 7), 3)
    floor = 2.0 if law == "saturating power" else 0.0
    noise = np.exp(sigma * np.random.default_rng(seed).standard_normal(len(x)))
    return pd.DataFrame({"x": x, "y": (floor + 60 * x**-0.5) * noise})


def fitted(law: str = "power", sigma: float = 0.02) -> Fit:
    (found,) = fit(table_of(law, sigma), law, x="x", y="y")
    return found


@settings(max_examples=10, deadline=None)
@given(st.floats(0.5, 30))
def test_the_law_at_its_inverse_is_the_error(error: float) -> None:
    law = fitted()
    answer = invert(law, error)
    assert law.median(answer.estimate)[0] == pytest.approx(error, rel=1e-5)
    # An interval of x for given y is where the interval of y holds the error, and conversely.
    at_low, at_high = law.predict([answer.low, answer.high]).to_dict("records")
    assert at_low["mean_low"] == pytest.approx(error, rel=0.01)
    assert at_high["mean_high"] == pytest.approx(error, rel=0.01)


def test_a_single_number_of_labels_does_not_tell_their_worth() -> None:
    dft, cc = (v.ravel() for v in np.meshgrid([0, 100], [25, 50, 100, 200]))
    table = pd.DataFrame({"dft": dft, "cc": cc, "mae": 60 * (cc + 0.2 * dft) ** -0.5})
    with pytest.raises(FitError, match=r"dft has one value beside 0, 100.*two or more"):
        fit_mix(table, {"cc": "cc", "dft": "dft"}, target="cc", y="mae")


def test_a_new_run_needs_more_labels_than_the_median() -> None:
    law = fitted(sigma=0.1)
    median, run = (invert(law, 3.0, new_run=new) for new in (False, True))
    assert median.estimate == run.estimate
    assert median.estimate < median.suffices < run.suffices


def test_below_the_irreducible_error_nothing_suffices() -> None:
    answer = invert(fitted("saturating power"), 1.0)
    assert not answer.found
    assert answer.reachable < 0.01
    assert "irreducible error" in answer.warnings[-1].message


def test_a_rising_line_is_inverted_downwards() -> None:
    x = np.geomspace(1, 100, 12)
    noise = np.exp(0.01 * np.sin(np.arange(12.0) ** 2))
    [law] = fit(pd.DataFrame({"pre": x, "y": 3 * x**0.5 * noise}), "line", x="pre", y="y")
    answer = invert(law, 9.0)  # 3 · 9^0.5
    assert answer.estimate == pytest.approx(9, rel=0.02)
    assert answer.suffices < answer.estimate  # a lower pre-trained error is the surer one


def test_the_other_predictors_are_given() -> None:
    X, f = (v.ravel() for v in np.meshgrid([10, 100, 1000], [10, 30, 100, 300]))
    noise = np.exp(0.001 * np.sin(np.arange(12.0) ** 2))
    table = pd.DataFrame({"p": X, "f": f, "y": 50 * X**-0.2 * f**-0.4 * noise})
    [law] = fit(table, "multiplicative", x={"X": "p", "f": "f"}, y="y")
    answer = invert(law, 50 * 100**-0.2 * 200**-0.4, at={"p": 100})
    assert answer.estimate == pytest.approx(200, rel=0.01)
    with pytest.raises(FitError, match="all of them but the one"):
        invert(law, 5.0)


@pytest.mark.parametrize("costs", [{"p": 1.0, "f": 10.0}, {"p": 1.0, "f": 100.0}])
def test_the_cheapest_mix_spends_in_proportion_to_the_exponents(costs: dict[str, float]) -> None:
    """Lagrange: cost_p · p / α = cost_f · f / β on p^α · f^β = A / E."""
    X, f = (v.ravel() for v in np.meshgrid(np.geomspace(10, 1e4, 6), np.geomspace(10, 1e4, 6)))
    noise = np.exp(1e-4 * np.sin(np.arange(36.0) ** 2))
    table = pd.DataFrame({"p": X, "f": f, "y": 90 * X**-0.2 * f**-0.4 * noise})
    law = fit_mix(table, {"cc": "f", "dft": "p"}, target="cc", y="y", law="multiplicative")
    answer = mix(law, 4.0, costs=costs, frontier=3)
    ratio = 0.2 / 0.4 * costs["f"] / costs["p"]  # of p to f
    best_f = (90 / 4.0 * ratio**-0.2) ** (1 / 0.6)
    assert answer.cost == pytest.approx(costs["f"] * best_f * (1 + 0.2 / 0.4), rel=0.01)
    assert answer.labels["p"] / answer.labels["f"] == pytest.approx(ratio, rel=0.1)
    assert (answer.frontier["cost"].diff().dropna() > 0).all()


def test_cheap_labels_that_replace_none_are_not_bought() -> None:
    dft, cc = (v.ravel() for v in np.meshgrid([0, 100, 400, 1600], [25, 50, 100, 200, 400]))
    noise = np.exp(0.01 * np.sin(np.arange(20.0) ** 2))
    table = pd.DataFrame({"dft": dft, "cc": cc, "y": 60 * (cc + 0.3 * dft) ** -0.5 * noise})
    law = fit_mix(table, {"cc": "cc", "dft": "dft"}, target="cc", y="y")
    assert law.law == "label-equivalent"
    dear = mix(law, 3.0, costs={"cc": 1.0, "dft": 10.0}, decades=1, frontier=1)
    assert dear.labels["dft"] == 0
    assert dear.cost == pytest.approx(400, rel=0.1)  # (60 / 3)²
    cheap = mix(law, 3.0, costs={"cc": 10.0, "dft": 1.0}, decades=1, frontier=1)
    assert cheap.labels["dft"] > 500
    assert cheap.cost < cheap.cost_alone


def test_a_mix_is_looked_for_within_the_data_unless_asked() -> None:
    dft, cc = (v.ravel() for v in np.meshgrid([0, 100, 400, 1600], [25, 50, 100, 200, 400]))
    noise = np.exp(0.01 * np.sin(np.arange(20.0) ** 2))
    table = pd.DataFrame({"dft": dft, "cc": cc, "y": 60 * (cc + 0.3 * dft) ** -0.5 * noise})
    law = fit_mix(table, {"cc": "cc", "dft": "dft"}, target="cc", y="y")
    costs = {"cc": 100.0, "dft": 1.0}  # CC labels are so dear that the law would buy hardly any
    within, bold = (mix(law, 4.0, costs=costs, decades=d, frontier=4) for d in (0, 1))
    assert within.labels["cc"] == pytest.approx(25, rel=1e-3)
    assert bold.labels["cc"] < 5
    assert within.predicted["decades_from_data"] < 1e-9
    assert within.frontier[["cc", "dft"]].max().tolist() <= [400.1, 1600.1]
    told = {w.code: w.message for w in within.warnings}
    assert "the fewest that was looked at, none beyond the data" in told["at-edge"]
    assert "extrapolation" not in told
    far = mix(law, 0.8, costs=costs, frontier=1)  # takes 5,600 CC labels alone
    assert not far.found
    assert "none beyond the data" in far.warnings[-1].message
    with pytest.raises(FitError, match="decades = -1"):
        mix(law, 4.0, costs=costs, decades=-1)


def test_pretraining_that_hurts_is_flagged() -> None:
    n = np.geomspace(20, 400, 8)
    noise = np.exp(0.01 * np.sin(np.arange(8.0) ** 2))
    # Half the error at 20 labels, and a shallower law: equal at (2 · 20^0.25)⁴ = 320 labels.
    laws = [
        fit(pd.DataFrame({"n": n, "y": y * noise}), "power", x="n", y="y")[0]
        for y in (60 * n**-0.5, 30 * 20**-0.25 * n**-0.25)
    ]
    answer = worth(*laws, [20, 400])
    crossing = (2 * 20**0.25) ** 4
    assert answer.pays_until == pytest.approx(crossing, rel=0.05)
    assert list(answer.table["worth"] > 0) == [True, False]
    assert "negative-transfer" in {warning.code for warning in answer.warnings}


@pytest.mark.slow
def test_what_suffices_with_probability_09_does_so_in_nine_of_ten_tables() -> None:
    """24 clusters of 4 rows that share a random height: the true answer is (60 / 3)² = 400."""
    rng = np.random.default_rng(1)
    x = np.tile(np.geomspace(10, 1000, 4), 24)
    checkpoint = np.repeat(np.arange(24), 4)
    enough = []
    for _ in range(200):
        noise = 0.1 * rng.standard_normal(24)[checkpoint] + 0.05 * rng.standard_normal(96)
        table = pd.DataFrame({"x": x, "y": 60 * x**-0.5 * np.exp(noise), "root": checkpoint})
        [law] = fit(table, "power", x="x", y="y", cluster="root")
        enough.append(invert(law, 3.0).suffices >= 400)
    assert 0.84 <= np.mean(enough) <= 0.96  # 0.9 ± 3 standard errors of 200 tables

"""Comparing groups: textbook covariance analysis, shared clusters, Holm, and false alarms."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.multitest import multipletests

from mfscale.scaling import Comparison, FitError, compare, fit
from mfscale.scaling.wald import Estimates, all_equal, difference, holm


def runs(
    heights: dict[str, float],
    slopes: dict[str, float],
    *,
    seed: int = 0,
    clusters: int = 8,
    shared: bool = False,
    floor: float = 0.0,
) -> pd.DataFrame:
    """Errors of several codes; checkpoints scatter as wholes, and may be shared by all codes."""
    rng = np.random.default_rng(seed)
    common = rng.normal(0, 0.1, clusters)
    rows = []
    for code, height in heights.items():
        own = common if shared else rng.normal(0, 0.1, clusters)
        for c in range(clusters):
            for labels in (25, 50, 100, 200, 400):
                noise = own[c] + rng.normal(0, 0.05)
                mae = (floor + height * (labels / 100) ** -slopes[code]) * np.exp(noise)
                root = f"r{c}" if shared else f"{code}{c}"
                rows.append({"code": code, "root": root, "labels": labels, "mae": mae})
    return pd.DataFrame(rows)


SAME = {"mace": 0.5, "allegro": 0.5, "nequip": 0.5}


def _compare(frame: pd.DataFrame, law: str = "power", **options: object) -> Comparison:
    columns = {"x": "labels", "y": "mae", "group": "code", "cluster": "root"}
    return compare(frame, law, **(columns | options))  # type: ignore[arg-type]


def _p(found: Comparison) -> dict[str, float]:
    return dict(zip(found.tests["quantity"], found.tests["p"], strict=True))


def test_independent_rows_give_textbook_analysis_of_covariance() -> None:
    frame = runs({"mace": 10, "allegro": 11, "nequip": 10}, SAME | {"nequip": 0.55})
    found = _compare(frame, cluster=None)
    logs = frame.assign(u=np.log(frame["labels"]), v=np.log(frame["mae"]))
    models = [ols(f"v ~ {f}", logs).fit() for f in ("u", "u + C(code)", "u * C(code)")]
    by_slope = anova_lm(models[1], models[2]).iloc[1]
    by_height = anova_lm(models[0], models[1]).iloc[1]
    for row, expected in zip(found.tests.itertuples(), (by_slope, by_height), strict=True):
        assert_allclose([row.F, row.p], [expected["F"], expected["Pr(>F)"]], rtol=1e-8)
    assert list(found.tests["denominator"]) == [120 - 6, 120 - 4]


def test_pairs_are_two_group_models_with_holm() -> None:
    frame = runs({"mace": 10, "allegro": 12, "nequip": 10}, SAME)
    found = _compare(frame, cluster=None)
    pairs = found.pairs[found.pairs["quantity"] == "height"].reset_index(drop=True)
    two = frame[frame["code"] != "nequip"]
    model = ols("np.log(mae) ~ np.log(labels) + C(code)", two).fit()
    first = pairs.iloc[0]
    assert (first["first"], first["second"]) == ("allegro", "mace")
    assert_allclose(np.log(first["change"]), model.params["C(code)[T.mace]"], rtol=1e-9)
    assert_allclose(
        np.log([first["low"], first["high"]]),
        model.conf_int().loc["C(code)[T.mace]"],
        rtol=1e-9,
    )
    assert_allclose(pairs["p_holm"], multipletests(pairs["p"], method="holm")[1])


def test_pairs_of_two_groups_say_what_the_test_of_both_says() -> None:
    frame = runs({"mace": 10, "allegro": 11}, SAME)
    found = _compare(frame)
    assert_allclose(found.tests["p"], found.pairs["p"], rtol=1e-9)


@pytest.mark.parametrize("law", ["power", "saturating power"])
def test_real_differences_are_found_and_named(law: str) -> None:
    heights, slopes = {"mace": 10, "allegro": 10}, {"mace": 0.9, "allegro": 0.5}
    floor = 0.0 if law == "power" else 1.0
    found = _compare(runs(heights, slopes, floor=floor), law)
    assert _p(found)["exponent"] < 0.01
    pair = found.pairs[found.pairs["quantity"] == "exponent"].iloc[0]
    assert pair["low"] < 0.4 < pair["high"]
    assert "common exponent?  no" in str(found)
    assert "exponent: mace − allegro" in str(found)


def test_shared_checkpoints_make_the_comparison_sharper() -> None:
    """What scatters with the checkpoint cancels, if both codes start from the same ones."""
    frame = runs({"mace": 10, "allegro": 10.5}, SAME, shared=True)
    apart = frame.assign(root=frame["code"] + frame["root"])
    for law, quantity in (("power", "height"), ("saturating power", "amplitude")):
        together, alone = (
            f.pairs.set_index("quantity").loc[quantity]
            for f in (_compare(frame, law, fixed={"E": 0.0}) if law != "power" else _compare(frame),
                      _compare(apart, law, fixed={"E": 0.0}) if law != "power" else _compare(apart))
        )  # fmt: skip
        widths = [np.log(p["high"] / p["low"]) for p in (together, alone)]
        assert widths[0] < 0.6 * widths[1]
        assert_allclose(together["change"], alone["change"], rtol=1e-6)


def test_other_laws_are_compared_at_common_references() -> None:
    """Two groups of one law but of different sizes: at references of their own, they differ."""
    frame = runs({"mace": 10, "allegro": 10}, SAME, floor=2.0)
    small = frame[(frame["code"] == "mace") | (frame["labels"] <= 200)]
    found = _compare(small, "saturating power")
    first, second = found.fits
    assert first.reference == second.reference
    assert _p(found)["amplitude"] > 0.01
    own = fit(small, "saturating power", x="labels", y="mae", group="code", draws=0)
    assert own[0].reference != own[1].reference


def test_a_group_that_is_not_determined_is_left_out() -> None:
    frame = runs({"mace": 10, "allegro": 10, "nequip": 10}, SAME)
    frame = frame[(frame["code"] != "nequip") | (frame["labels"] == 25)]
    found = _compare(frame)
    assert set(found.pairs["first"]) | set(found.pairs["second"]) == {"mace", "allegro"}
    assert "nequip: single-x" in str(found)
    with pytest.raises(FitError, match="only 1 group of code determines the law"):
        _compare(frame[frame["code"] != "mace"])


def test_two_checkpoints_allow_no_comparison() -> None:
    found = _compare(runs({"mace": 10, "allegro": 20}, SAME, clusters=1))
    assert found.tests["p"].isna().all()
    assert "cannot be told" in str(found)


def test_holm_by_hand() -> None:
    """0.01 · 3, then 0.02 · 2, then no less than before."""
    p = holm(np.array([0.03, 0.01, np.nan, 0.02]))
    assert_allclose(p, [0.04, 0.03, np.nan, 0.04])


def test_hotelling_is_smaller_than_f() -> None:
    """T² = 6 of 2 contrasts with 9 degrees of freedom: F(2, 8) = 6 · 8 / (9 · 2)."""
    values, covariance = np.array([0.0, 0.0, 3.0]), np.eye(3)
    exact, robust = (
        all_equal(Estimates("slope", values, covariance, 9, exact=e, ratio=False))
        for e in (True, False)
    )
    assert_allclose(exact[0], 3)  # Σ (v − mean)² / 2 = 6 / 2
    assert robust[:3] == (pytest.approx(6 * 8 / 18), 2, 8)
    assert robust[3] > exact[3]
    two = Estimates("slope", np.array([1.0, 4.0]), np.eye(2), 9, exact=False, ratio=False)
    assert difference(two, 0.95)[0] == 3


@pytest.mark.slow
@pytest.mark.parametrize("law", ["power", "saturating power"])
def test_false_alarms_are_as_rare_as_stated(law: str) -> None:
    """Three groups of one law, 10 checkpoints each, 5% level."""
    alarms = []
    for seed in range(250):
        floor = 0.0 if law == "power" else 3.0
        frame = runs(dict.fromkeys(SAME, 10), SAME, seed=seed, clusters=10, floor=floor)
        alarms.append({name: p < 0.05 for name, p in _p(_compare(frame, law)).items()})
    rates = pd.DataFrame(alarms).mean()  # of each quantity, where it could be tested
    assert (rates <= 0.08).all()
    assert rates.max() > 0.01

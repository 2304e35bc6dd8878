"""What a user of `fit` sees: groups, exclusions, warnings, predictions, files and messages."""

import json
from dataclasses import replace
from math import isnan

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from mfscale.scaling import Fit, FitError, FitWarning, fit, summary


@pytest.fixture
def frame() -> pd.DataFrame:
    """Three pre-training amounts; each of 10 checkpoints is fine-tuned at three sizes."""
    rng = np.random.default_rng(3)
    rows = [
        {
            "pretraining": name,
            "root_id": f"{name}/{seed}",
            "labels": labels,
            "mae": height * (labels / 50) ** -0.5 * np.exp(shift + rng.normal(0, 0.05)),
        }
        for name, height in (("dft:b:1000", 40.0), ("dft:b:200", 60.0), ("none", 120.0))
        for seed, shift in enumerate(rng.normal(0, 0.1, 10))
        for labels in (25, 50, 100)
    ]
    return pd.DataFrame(rows)


def _fit(frame: pd.DataFrame, **options: object) -> list[Fit]:
    settings = {"x": "labels", "y": "mae", "group": "pretraining", "cluster": "root_id"} | options
    return fit(frame, str(settings.pop("law", "power")), **settings)  # type: ignore[arg-type]


def _codes(found: Fit) -> list[str]:
    return [warning.code for warning in found.warnings]


def test_recovers_the_law_of_each_group_in_natural_order(frame: pd.DataFrame) -> None:
    fits = _fit(frame)
    assert [found.group["pretraining"] for found in fits] == ["dft:b:200", "dft:b:1000", "none"]
    for found, height in zip(fits, (60.0, 40.0, 120.0), strict=True):
        exponent, amplitude = found.parameters["exponent"], found.parameters["amplitude"]
        assert exponent.low < 0.5 < exponent.high
        assert amplitude.low < height < amplitude.high
        assert_allclose(found.reference, 50)
        assert (found.n_rows, found.n_clusters, found.solution.degrees_of_freedom) == (30, 10, 9)
        assert found.warnings == ()


def test_several_group_columns_and_missing_values(frame: pd.DataFrame) -> None:
    frame["size"] = np.where(frame.index < 30, 1.0, np.nan)
    fits = _fit(frame, group=["size", "pretraining"])
    assert [tuple(found.group.values()) for found in fits] == [
        (1.0, "dft:b:1000"),
        (None, "dft:b:200"),
        (None, "none"),
    ]


def test_no_row_is_dropped_silently(frame: pd.DataFrame) -> None:
    frame = frame.astype({"labels": float}).set_index("s" + frame.index.astype(str))
    frame.loc["s0", "mae"] = np.nan
    frame.loc["s1", "mae"] = -1.0
    frame.loc["s2", "labels"] = np.inf
    frame.loc["s3", "root_id"] = None
    found = _fit(frame)[1]
    assert {e.row: e.reason for e in found.exclusions} == {
        "s0": "mae is missing or not finite",
        "s1": "mae = -1 has no logarithm",
        "s2": "labels is missing or not finite",
        "s3": "root_id is missing",
    }
    assert found.n_rows == 26
    assert "s0: mae is missing" in found.report()


def test_an_unfinished_group_does_not_hide_the_others(frame: pd.DataFrame) -> None:
    half = frame[(frame["pretraining"] != "none") | (frame["labels"] == 25)]
    *others, last = _fit(half)
    assert all(found.determined for found in others)
    assert not last.determined
    assert _codes(last) == ["single-x"]
    assert isnan(last.parameters["exponent"].estimate)
    assert "Not determined" in last.report()
    with pytest.raises(FitError, match="one value of labels"):
        last.predict(50)


def test_one_checkpoint_gives_a_line_but_no_interval(frame: pd.DataFrame) -> None:
    found = _fit(frame[frame["root_id"] == "none/0"])[0]
    assert _codes(found) == ["few-clusters"]
    _has_no_interval(found)


def test_two_checkpoints_give_a_line_but_no_interval(frame: pd.DataFrame) -> None:
    found = _fit(frame[frame["root_id"].isin(["none/0", "none/1"])])[0]
    assert _codes(found) == ["few-clusters"]
    assert "only 2 independent clusters (root_id)" in found.warnings[0].message
    _has_no_interval(found)


def _has_no_interval(found: Fit) -> None:
    predicted = found.predict(50).iloc[0]
    assert predicted["median"] > 0
    assert predicted.filter(regex="low|high").isna().all()
    assert "interval unknown" in found.report()
    assert "Where a single new run should land is unknown." in found.report()


def test_a_slope_that_rests_on_one_checkpoint_has_no_interval() -> None:
    table = pd.DataFrame(
        {"x": [1, 1, 1, 1, 2, 2], "y": [3, 3.1, 2.9, 3.3, 2, 2.2], "c": list("aabbcc")}
    )
    [found] = fit(table, "power", x="x", y="y", cluster="c")
    assert _codes(found) == ["one-cluster"]
    assert isnan(found.parameters["exponent"].low)


@pytest.mark.parametrize(("n", "end"), [(2, "no interval"), (3, "very wide"), (4, "very wide")])
def test_few_points(n: int, end: str) -> None:
    x = np.arange(1.0, n + 1)
    table = pd.DataFrame({"x": x, "y": 5 / x + 0.01 * x**2})
    [found] = fit(table, "power", x="x", y="y")
    assert _codes(found)[0] == "few-points"
    assert end in found.warnings[0].message
    assert isnan(found.parameters["exponent"].low) == (n == 2)


def test_few_clusters_and_no_trend() -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"c": np.repeat(range(4), 3), "x": np.tile([1, 2, 4], 4)})
    table["y"] = np.exp(rng.normal(0, 0.3, 12))
    assert _codes(fit(table, "power", x="x", y="y", cluster="c")[0]) == ["few-clusters", "no-trend"]


def test_lack_of_fit_is_seen_with_replicates() -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": np.repeat([10, 40, 160, 640], 4)})
    noise = np.exp(rng.normal(0, 0.03, 16))
    table["saturating"] = (5 + 100 / table["x"]) * noise
    table["power"] = 100 / table["x"] * noise
    assert _codes(fit(table, "power", x="x", y="saturating")[0]) == ["lack-of-fit"]
    assert _codes(fit(table, "power", x="x", y="power")[0]) == []


def test_prediction_says_how_far_from_the_data_it_is(frame: pd.DataFrame) -> None:
    found = _fit(frame)[0]
    predicted = found.predict([2.5, 25, 50, 100, 1000])
    assert_allclose(predicted["decades_from_data"], [1, 0, 0, 0, 1])
    assert [w.code for w in found.warnings_at([50, 1000])] == ["extrapolation"]
    assert "1.00 decades" in found.warnings_at(1000)[0].message
    with pytest.raises(FitError, match="labels = -3"):
        found.predict(-3)


def test_report_speaks_to_a_newcomer() -> None:
    table = pd.DataFrame({"n": [25, 50, 100, 200], "e": [141.4, 100.1, 70.6, 50.05]})
    [found] = fit(table, "power", x="n", y="e")
    text = found.report(x_name="CC training labels", y_name="error (meV)")
    assert "Doubling the CC training labels multiplies the error (meV) by 0.707 (95% int" in text
    assert "At CC training labels = 70.71 the median error (meV) is 84.1" in text
    assert "exponent" in text
    assert "few-points" in text
    [line] = fit(table, "line", x="n", y="e")
    assert "Halving the n multiplies the e by 1.41" in line.report()


@pytest.mark.parametrize("rows", [slice(None), slice(60, 63), slice(60, 62)])
def test_json_round_trip(frame: pd.DataFrame, rows: slice) -> None:
    for found in _fit(frame[rows], group=["pretraining"], level=0.9):
        text = json.dumps(found.to_dict(), allow_nan=False)
        restored = Fit.from_dict(json.loads(text))
        assert json.dumps(restored.to_dict()) == text
        assert restored.report() == found.report()
        pd.testing.assert_frame_equal(restored.predict([10, 60]), found.predict([10, 60]))


def test_warnings_of_others_are_kept_and_reported(frame: pd.DataFrame) -> None:
    found = _fit(frame)[0]
    one_draw = FitWarning("one-draw", "all runs learn from one draw of labels")
    warned = replace(found, warnings=(*found.warnings, one_draw))
    restored = Fit.from_dict(json.loads(json.dumps(warned.to_dict())))
    assert restored.warnings == (one_draw,)
    assert "Warnings\n  one-draw: all runs learn from one draw of labels" in restored.report()
    assert list(summary([restored])["warnings"]) == ["one-draw"]
    assert one_draw in restored.warnings_at(1000)


def test_extreme_levels_stay_finite(frame: pd.DataFrame) -> None:
    few = frame[frame["root_id"].isin(["none/0", "none/1", "none/2"])]
    found = _fit(few, level=0.9999999)[0]
    json.dumps(found.to_dict(), allow_nan=False)
    assert np.isfinite(found.predict([1, 1e6]).to_numpy()).all()
    assert "interval" in found.report()


def test_files_that_are_not_fits_are_refused(frame: pd.DataFrame) -> None:
    plain = _fit(frame)[0].to_dict()
    with pytest.raises(FitError, match="format 3"):
        Fit.from_dict(plain | {"format": 3})
    with pytest.raises(FitError, match=r"not a saved fit: y_unit"):
        Fit.from_dict(plain | {"y_unit": "high"})
    del plain["solution"]
    with pytest.raises(FitError, match="solution"):
        Fit.from_dict(plain)


def test_summary_has_a_row_per_fit(frame: pd.DataFrame) -> None:
    table = summary(_fit(frame))
    assert list(table["pretraining"]) == ["dft:b:200", "dft:b:1000", "none"]
    assert (table["exponent_low"] < table["exponent"]).all()
    assert (table["exponent"] < table["exponent_high"]).all()
    assert {"amplitude_se", "sigma", "r_squared", "n_rows", "n_clusters", "warnings"} <= set(table)
    json.loads(table.to_json(orient="records"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"law": "powr"}, "no law 'powr'; choose one of additive, effective data"),
        ({"level": 95}, "between 0 and 1"),
        ({"x": "lables"}, "no column 'lables'; did you mean labels"),
        ({"y": "labels"}, "same column"),
        ({"y": "root_id"}, "'root_id' holds 'dft:b:1000/0' in row 0, which is not a number"),
        ({"group": "nothing_like_it"}, "no column 'nothing_like_it'"),
        ({"cluster": "root"}, "did you mean root_id"),
    ],
)
def test_wrong_requests_are_explained(
    frame: pd.DataFrame, change: dict[str, object], message: str
) -> None:
    with pytest.raises(FitError, match=message):
        _fit(frame, **change)


def test_tables_without_a_law_are_explained(frame: pd.DataFrame) -> None:
    with pytest.raises(FitError, match="no rows"):
        _fit(frame.iloc[:0])
    with pytest.raises(FitError, match="one value of labels"):
        _fit(frame[frame["labels"] == 50])
    with pytest.raises(FitError, match="no row has a usable"):
        _fit(frame.assign(mae=np.nan))
    with pytest.raises(FitError, match="several columns named 'mae'"):
        _fit(pd.concat([frame, frame["mae"]], axis=1))

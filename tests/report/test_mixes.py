"""Figures of mixes: runs at their costs, frontiers dashed beyond the data, maps of two methods."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mfscale.report import ReportError
from mfscale.report.label_map import error_over_labels
from mfscale.report.mixes import MixedLabels, cost_against_error
from mfscale.scaling import fit, mix
from tests.report.conftest import assert_texts_apart, lines_of

COSTS = {"n_labels_dft": 1.0, "n_labels_cc": 10.0}


@pytest.fixture(scope="module")
def mixed() -> list[MixedLabels]:
    """Two groups of runs on every mix of four numbers of DFT and CC labels."""
    rng = np.random.default_rng(3)
    found = []
    for name, factor in (("nequip", 1.0), ("mace", 0.7)):
        dft, cc = (v.ravel() for v in np.meshgrid([50, 200, 800, 3200], [25, 50, 100, 200]))
        rows = pd.DataFrame({"n_labels_dft": dft, "n_labels_cc": cc, "architecture": name})
        noise = np.exp(rng.normal(0, 0.05, len(rows)))
        rows["cc_t_energy_mae_mev"] = factor * 3000 * dft**-0.3 * cc**-0.3 * noise
        columns = {"X": "n_labels_dft", "f": "n_labels_cc"}
        [law] = fit(
            rows, "multiplicative", x=columns, y="cc_t_energy_mae_mev", group=("architecture",)
        )
        mixes = {
            p: mix(law, 200.0, costs=COSTS, probability=p, frontier=6, decades=1.0)
            for p in (0.1, 0.5, 0.9)
        }
        found.append(MixedLabels(fit=law, rows=rows, costs=COSTS, mixes=mixes))
    return found


def test_every_run_lies_at_the_cost_of_its_labels(mixed: list[MixedLabels]) -> None:
    (axes,) = cost_against_error(mixed).axes
    [runs] = [c for c in axes.collections if c.get_gid() == "runs: nequip"]
    rows = mixed[0].rows
    cost = rows["n_labels_dft"] + 10 * rows["n_labels_cc"]
    drawn = np.asarray(runs.get_offsets())
    assert drawn[:, 0] == pytest.approx(cost.to_numpy(dtype=float))
    assert drawn[:, 1] == pytest.approx(rows["cc_t_energy_mae_mev"].to_numpy())


def test_a_frontier_is_solid_where_its_mixes_lie_inside_the_data(
    mixed: list[MixedLabels],
) -> None:
    lines = lines_of(cost_against_error(mixed))
    whole, solid = lines["frontier: mace, beyond"], lines["frontier: mace"]
    best = mixed[1].mixes[0.5].frontier
    assert whole == pytest.approx(best[["cost", "error"]].to_numpy())
    inside = best["n_labels_dft"].between(50, 3200) & best["n_labels_cc"].between(25, 200)
    assert inside.any()
    assert not inside.all()
    assert (~np.isnan(solid[:, 0])).tolist() == inside.tolist()


def test_the_band_holds_the_frontier(mixed: list[MixedLabels]) -> None:
    (axes,) = cost_against_error(mixed).axes
    bands = {c.get_gid(): c.get_paths()[0] for c in axes.collections if "band" in str(c.get_gid())}
    assert bands.keys() == {"band: nequip", "band: mace"}
    best = mixed[0].mixes[0.5].frontier
    log_path = bands["band: nequip"].vertices
    heights = log_path[:, 1]
    middle = best[(best["error"] > heights.min() * 1.2) & (best["error"] < heights.max() / 1.2)]
    assert len(middle)
    assert bands["band: nequip"].contains_points(middle[["cost", "error"]].to_numpy()).all()


def test_a_map_for_each_group(mixed: list[MixedLabels]) -> None:
    figure = error_over_labels(mixed)
    assert [axes.get_title() for axes in figure.axes] == ["nequip", "mace"]
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("DFT labels", "CC labels")
    [runs] = [c for c in axes.collections if c.get_gid() == "runs: nequip"]
    assert len(runs.get_offsets()) == 16
    assert [c for c in axes.collections if c.get_gid() == "equal cost"]
    assert "cheapest: nequip" in lines_of(figure)


def test_runs_without_one_of_the_labels_are_counted(mixed: list[MixedLabels]) -> None:
    rows = mixed[0].rows.copy()
    rows.loc[:2, "n_labels_dft"] = 0
    figure = error_over_labels([replace(mixed[0], rows=rows)])
    assert "3 runs without both labels not shown" in figure.axes[0].get_title()


def test_no_text_overlaps_or_leaves_the_page(mixed: list[MixedLabels]) -> None:
    figure = cost_against_error(mixed)
    assert_texts_apart(figure)


def test_what_cannot_be_drawn_is_explained() -> None:
    with pytest.raises(ReportError, match="no group of runs has a frontier"):
        cost_against_error([])
    with pytest.raises(ReportError, match="labels of two methods"):
        error_over_labels([])

"""The figures: every run shown, lines solid inside the data, warnings read, nothing overlapping."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import FillBetweenPolyCollection, PathCollection
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from mfscale.report import (
    ReportError,
    error_against_labels,
    fine_tuned_against_pretrained,
    save,
)
from mfscale.scaling import FitError, FitWarning, fit
from tests.report.conftest import assert_texts_apart

LABELS, PARENT, ERROR = "cc_size", "parent_validation_energy_mae_mev", "cc_t_energy_mae_mev"


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Direct training, and three pre-training sizes; three CC sizes; three seeds."""
    rng = np.random.default_rng(1)
    rows = []
    for name, factor in (("none", 1.0), ("100", 0.6), ("400", 0.42), ("1600", 0.3)):
        for seed in range(3):
            luck = rng.normal(0, 0.08)
            for size in (25, 50, 100):
                noise = np.exp(luck + rng.normal(0, 0.05))
                direct = name == "none"
                rows.append(
                    {
                        "root_id": f"{name}/{seed}/{size if direct else ''}",
                        "pretraining": name if direct else f"dft:b:{name}+forces",
                        LABELS: size,
                        PARENT: np.nan if direct else 90 * factor**1.3 * np.exp(luck),
                        ERROR: 180 * factor * (size / 50) ** -0.45 * noise,
                    }
                )
    return pd.DataFrame(rows)


def _against_labels(frame: pd.DataFrame, group: str | list[str] = "pretraining") -> Figure:
    columns = {"x": LABELS, "y": ERROR, "group": group}
    return error_against_labels(frame, fit(frame, "power", cluster="root_id", **columns), **columns)


def _against_parent(frame: pd.DataFrame, group: str | list[str] = LABELS) -> Figure:
    columns = {"x": PARENT, "y": ERROR, "group": group}
    fits = fit(frame, "line", cluster="root_id", **columns)
    return fine_tuned_against_pretrained(frame, fits, **columns)


def _runs(figure: Figure, kind: str = "runs", axes: int = 0) -> dict[str, np.ndarray]:
    """Group → positions of its points."""
    return {
        str(artist.get_gid()).removeprefix(f"{kind}: "): np.asarray(artist.get_offsets())
        for artist in figure.axes[axes].collections
        if isinstance(artist, PathCollection) and str(artist.get_gid()).startswith(f"{kind}: ")
    }


def _bands(figure: Figure) -> int:
    return sum(
        isinstance(artist, FillBetweenPolyCollection) for artist in figure.axes[0].collections
    )


def _text(figure: Figure) -> str:
    """All that is written, wrapped lines joined."""
    return " ".join(" ".join(text.get_text() for text in figure.findobj(Text)).split())


def test_every_run_is_a_point(frame: pd.DataFrame) -> None:
    runs = _runs(_against_labels(frame))
    assert {name: len(points) for name, points in runs.items()} == {
        "none (direct)": 9,
        "DFT 100": 9,
        "DFT 400": 9,
        "DFT 1600": 9,
    }
    drawn = sorted(map(tuple, np.concatenate(list(runs.values()))))
    assert drawn == sorted(zip(frame[LABELS], frame[ERROR], strict=True))
    # Direct runs have no pre-trained error: the other 27 are drawn.
    assert sum(map(len, _runs(_against_parent(frame)).values())) == 27


def test_axes_are_named_with_units(frame: pd.DataFrame) -> None:
    axes, strip = _against_labels(frame).axes[:2]
    assert (strip.get_xlabel(), axes.get_ylabel()) == ("CC training labels", "CC test MAE (meV)")
    assert axes.get_xscale() == axes.get_yscale() == strip.get_xscale() == "log"
    assert axes.get_xlim() == strip.get_xlim()
    assert _against_parent(frame).axes[1].get_xlabel() == "pre-trained validation MAE (meV)"


def test_lines_are_solid_inside_the_data_and_dashed_beyond(frame: pd.DataFrame) -> None:
    lines = _against_labels(frame).axes[0].get_lines()
    assert len(lines) == 12
    for line in lines:
        x = np.asarray(line.get_xdata())
        inside = x.min() >= 25 * (1 - 1e-9) and x.max() <= 100 * (1 + 1e-9)
        assert line.get_linestyle() == ("-" if inside else "--")
        assert np.log10(25 / x.min()) <= 0.3
        assert np.log10(x.max() / 100) <= 0.3


def test_ticks_are_plain_numbers(frame: pd.DataFrame) -> None:
    for figure in (_against_labels(frame), _against_parent(frame)):
        for axis in (figure.axes[1].xaxis, figure.axes[0].yaxis):
            labels = [label.get_text() for label in axis.get_ticklabels()]
            assert len(labels) >= 3
            assert [float(label) for label in labels] == pytest.approx(axis.get_ticklocs())
    for axes in _against_labels(frame).axes[:2]:
        assert list(axes.xaxis.get_ticklocs()) == [25, 50, 100]


def test_means_of_replicates_are_geometric(frame: pd.DataFrame) -> None:
    means = _runs(_against_labels(frame), "means")
    direct = frame[frame["pretraining"] == "none"]
    expected = np.exp(np.log(direct[ERROR]).groupby(direct[LABELS]).mean())
    assert means["none (direct)"][:, 0] == pytest.approx([25, 50, 100])
    assert means["none (direct)"][:, 1] == pytest.approx(expected.to_numpy())
    # Of a line of two errors: runs of one pre-training.
    assert {len(points) for points in _runs(_against_parent(frame), "means").values()} == {3}


def test_every_run_is_divided_by_its_law_below(frame: pd.DataFrame) -> None:
    figure = _against_labels(frame)
    ratios = _runs(figure, "residuals", axes=1)
    assert {name: len(points) for name, points in ratios.items()} == {
        name: len(points) for name, points in _runs(figure).items()
    }
    for points in ratios.values():  # residuals of a fit of logarithms add up to nothing
        assert np.log(points[:, 1]).sum() == pytest.approx(0, abs=1e-9)
    low, high = figure.axes[1].get_ylim()
    assert low * high == pytest.approx(1)
    assert low < min(points[:, 1].min() for points in ratios.values())


def test_lines_bear_their_slopes_where_there_is_room(frame: pd.DataFrame) -> None:
    figure = _against_labels(frame)
    [direct] = fit(frame[frame["pretraining"] == "none"], "power", x=LABELS, y=ERROR)
    exponent = direct.parameters["exponent"]
    slopes = {t.get_gid(): t.get_text() for t in figure.axes[0].texts if t.get_gid()}
    assert slopes["slope: none (direct)"] == f"{exponent.estimate:.3f}"
    assert len(slopes) == 4
    many = pd.concat([frame.assign(size="tiny"), frame.assign(size="small")])
    assert not _against_labels(many, ["pretraining", "size"]).axes[0].texts


def test_runs_held_out_are_crosses_that_the_lines_reach(frame: pd.DataFrame) -> None:
    columns = {"x": LABELS, "y": ERROR, "group": "pretraining"}
    held_out = frame[LABELS] == 100
    fits = fit(frame[~held_out], "power", cluster="root_id", **columns)
    figure = error_against_labels(frame[~held_out], fits, held_out=frame[held_out], **columns)
    crosses = _runs(figure, "held out")
    assert {len(points) for points in crosses.values()} == {3}
    assert all((points[:, 0] == 100).all() for points in crosses.values())
    for axes, kind in enumerate(("runs", "residuals")):
        assert {len(points) for points in _runs(figure, kind, axes).values()} == {6}
    [direct] = [found for found in fits if found.group["pretraining"] == "none"]
    ratios = _runs(figure, "held out", axes=1)["none (direct)"][:, 1]
    assert ratios == pytest.approx(
        crosses["none (direct)"][:, 1] / float(direct.predict(100)["median"].iloc[0])
    )
    beyond = [line for line in figure.axes[0].lines if str(line.get_gid()).startswith("beyond")]
    assert max(np.max(line.get_xdata()) for line in beyond) == 100
    assert figure.axes[0].get_xlim()[1] > 100
    assert "Crosses: runs held out" in _text(figure)


def test_slopes_stand_on_no_run(frame: pd.DataFrame) -> None:
    for figure in (_against_labels(frame), _against_parent(frame)):
        figure.draw_without_rendering()
        axes = figure.axes[0]
        slopes = [text for text in axes.texts if str(text.get_gid()).startswith("slope: ")]
        runs = axes.transData.transform(np.concatenate(list(_runs(figure).values())))
        for slope in slopes:
            corners = slope.get_window_extent()
            turn = np.radians(slope.get_rotation())
            middle = np.array([corners.x0 + corners.x1, corners.y0 + corners.y1]) / 2
            above = (runs - middle) @ [-np.sin(turn), np.cos(turn)]
            across = (runs - middle) @ [np.cos(turn), np.sin(turn)]
            slope.set_rotation(0)
            box = slope.get_window_extent()
            assert not ((abs(across) < box.width / 2) & (abs(above) < box.height / 2)).any()
    assert slopes


def test_bands_of_many_laws_are_left_out(frame: pd.DataFrame) -> None:
    many = pd.concat([frame.assign(size="tiny"), frame.assign(size="small")])
    figure = _against_labels(many, ["pretraining", "size"])
    assert _bands(figure) == 0
    assert "Bands" not in _text(figure)


def test_warnings_that_differ_in_numbers_are_one(frame: pd.DataFrame) -> None:
    columns = {"x": LABELS, "y": ERROR, "group": "pretraining"}
    fits = [
        replace(found, warnings=(FitWarning("unconverged", f"{n} of 9 runs, of c0ffee1"),))
        for n, found in enumerate(fit(frame, "power", cluster="root_id", **columns), start=1)
    ]
    text = _text(error_against_labels(frame, fits, **columns))
    assert "⚠ 1 to 4 of 9 runs, of c0ffee1." in text


def test_slopes_counts_and_warnings_are_read_below(frame: pd.DataFrame) -> None:
    text = _text(_against_labels(frame))
    [direct] = fit(frame[frame["pretraining"] == "none"], "power", x=LABELS, y=ERROR)
    exponent = direct.parameters["exponent"]
    assert f"{exponent.estimate:.3f} ({exponent.low:.3f}–{exponent.high:.3f})" in text
    assert "DFT 100; DFT 400; DFT 1600: only 3 independent clusters" in text
    assert "slope b (95%)" in _text(_against_parent(frame))


def test_a_group_without_a_law_keeps_its_points(frame: pd.DataFrame) -> None:
    unfinished = frame[(frame["pretraining"] != "none") | (frame[LABELS] == 25)]
    figure = _against_labels(unfinished)
    assert len(_runs(figure)["none (direct)"]) == 3
    assert "not determined" in _text(figure)
    assert "one value of CC training labels" in _text(figure)


def test_a_band_that_would_hide_the_others_is_left_out(frame: pd.DataFrame) -> None:
    noise = np.exp(np.random.default_rng(3).normal(0, 0.5, len(frame)))
    noisy = frame.assign(
        **{ERROR: frame[ERROR] * np.where(frame["pretraining"] == "none", 1, noise)}
    )
    figure = _against_labels(noisy)
    assert _bands(figure) < 4
    assert "are left out" in _text(figure)
    assert _bands(_against_labels(frame)) == 4
    assert "are left out" not in _text(_against_labels(frame))


def test_two_seeds_have_lines_but_neither_bands_nor_intervals(frame: pd.DataFrame) -> None:
    two = frame[frame["root_id"].str.contains("/[01]/") & (frame["pretraining"] != "none")]
    figure = _against_labels(two)
    assert len(figure.axes[0].get_lines()) == 9
    assert _bands(figure) == 0
    text = _text(figure)
    assert text.count("(unknown)") == 3
    told = (
        "Every run is an open point, the mean of replicates a filled one. Dashed: beyond the data."
    )
    assert told in text


def test_warnings_are_merged_and_unnamed_where_true_of_all(frame: pd.DataFrame) -> None:
    columns = {"x": LABELS, "y": ERROR, "group": "pretraining"}
    fits = fit(frame, "power", cluster="root_id", **columns)
    one_draw = FitWarning("one-draw", f"{LABELS} are of one draw, not of {LABELS}s")
    fits = [replace(found, warnings=(*found.warnings, one_draw)) for found in fits]
    unconverged = FitWarning("unconverged", "2 of 9 runs were still improving")
    fits[1] = replace(fits[1], warnings=(*fits[1].warnings, unconverged))
    text = _text(error_against_labels(frame, fits, **columns))
    assert text.count("one draw") == 1
    assert "⚠ CC training labels are of one draw, not of cc_sizes." in text
    assert f"⚠ DFT {fits[1].group['pretraining'].split(':')[2].split('+')[0]}: 2 of 9 runs" in text
    assert text.count("⚠") == 3
    alone = _text(_against_labels(frame[frame["pretraining"] == "dft:b:100+forces"], []))
    assert "⚠ only 3 independent clusters" in alone


@pytest.mark.parametrize(
    "kind", ["labels", "parent", "one law", "many groups", "long names", "two seeds"]
)
def test_no_text_overlaps_or_leaves_the_page(frame: pd.DataFrame, kind: str) -> None:
    many = pd.concat([frame.assign(size="tiny"), frame.assign(size="small")])
    long = frame.assign(pretraining="xtb:b:10000+forces > dft:b:1000+forces & cc:a:50")
    figure = {
        "labels": lambda: _against_labels(frame),
        "parent": lambda: _against_parent(frame),
        "one law": lambda: _against_parent(frame, []),
        "many groups": lambda: _against_labels(many, ["pretraining", "size"]),
        "long names": lambda: _against_labels(long),
        "two seeds": lambda: _against_labels(frame[frame["root_id"].str.contains("/[01]/")]),
    }[kind]()
    assert_texts_apart(figure)


def test_files(frame: pd.DataFrame, tmp_path: Path) -> None:
    figure = _against_labels(frame)
    png, pdf = save(figure, tmp_path / "new" / "error.v1")
    assert (png.name, pdf.name) == ("error.v1.png", "error.v1.pdf")
    with Image.open(png) as image:
        image.verify()
        assert image.size[0] == 1050  # 3.5 inches at 300 dpi
    content = pdf.read_bytes()
    assert content.startswith(b"%PDF")
    assert content.rstrip().endswith(b"%%EOF")
    assert b"/Type3" not in content  # fonts embedded as TrueType, which journals ask for
    before = png.read_bytes(), content
    save(figure, tmp_path / "new" / "error.v1")
    assert (png.read_bytes(), pdf.read_bytes()) == before
    assert sorted(path.name for path in png.parent.iterdir()) == ["error.v1.pdf", "error.v1.png"]


def test_an_unwritable_place_is_explained(frame: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match=r"cannot write .*; choose another folder"):
        save(_against_labels(frame), tmp_path / "file" / "figure")


def test_requests_that_do_not_fit_together_are_explained(frame: pd.DataFrame) -> None:
    columns = {"x": LABELS, "y": ERROR, "group": "pretraining"}
    fits = fit(frame, "power", **columns)
    with pytest.raises(ReportError, match="no fitted law"):
        error_against_labels(frame, [], **columns)
    with pytest.raises(ReportError, match=r"the fit is a power law .* the figure a line law"):
        fine_tuned_against_pretrained(frame, fits, **columns)
    with pytest.raises(ReportError, match=r"by pretraining, the figure .* by seed"):
        error_against_labels(frame, fits, x=LABELS, y=ERROR, group="seed")
    with pytest.raises(ReportError, match="rests on 9 rows, but the table has 3"):
        error_against_labels(frame[frame[LABELS] == 25], fits, **columns)
    with pytest.raises(ReportError, match=f"no column '{ERROR}'"):
        error_against_labels(frame.drop(columns=ERROR), fits, **columns)
    with pytest.raises(FitError, match="no rows"):
        _against_labels(frame.iloc[:0])

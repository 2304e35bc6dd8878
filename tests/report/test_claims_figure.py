"""The forest plot: every part a row, its interval where the numbers are, nothing overlapping."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from mfscale.claims import CLAIMS, ClaimResult, PartResult
from mfscale.report import save
from mfscale.report.claims import effects_of_claims


def part(number: int, letter: str, **given: object) -> PartResult:
    told = next(p for p in CLAIMS[number - 1].parts if p.letter == letter)
    plain = {
        "claim": number,
        "part": letter,
        "statement": told.statement,
        "budget": "equal caps",
        "side": told.side,
        "margin": told.margin,
        "quantity": told.quantity,
    }
    return PartResult(**(plain | given))  # type: ignore[arg-type]


@pytest.fixture
def claims() -> list[ClaimResult]:
    one = [
        part(1, "a", factor=0.6, low=0.5, high=0.7, n_clusters=9, n_pairs=27, verdict="supported"),
        part(1, "a", budget="matched total compute", reason="no pairs"),
    ]
    group = "xtb 100000 against dft 1000, 1000 target labels"
    four = [
        part(4, "a", factor=1.3, low=1.1, high=1.5, n_clusters=5, verdict="contradicted"),
        part(4, "b", group=group, factor=0.9, low=1e-3, high=500, n_clusters=3),
        part(4, "b", budget="matched total compute", group=group, factor=0.9, n_clusters=2),
    ]
    return [
        ClaimResult(number=n, statement=CLAIMS[n - 1].statement, parts=tuple(parts))
        for n, parts in ((1, one), (4, four))
    ]


def test_every_part_is_a_row(claims: list[ClaimResult]) -> None:
    (axes,) = effects_of_claims(claims).axes
    texts = [text.get_text() for text in axes.texts]
    for word in ("equal caps", "0.60 (0.50–0.70)", "9", "supported", "contradicted"):
        assert word in texts
    assert texts.count("undecided") == 3
    assert "4b  pre-trained on xTB, against on DFT labels of the same cost" in texts
    drawn = {line.get_gid(): line for line in axes.lines}
    assert drawn["interval: 1a, equal caps"].get_xdata() == pytest.approx([0.5, 0.7])
    assert drawn["effect: 1a, equal caps"].get_xdata() == pytest.approx([0.6])
    assert "effect: 1a, matched total compute" not in drawn


def test_verdicts_differ_in_shape_too(claims: list[ClaimResult]) -> None:
    (axes,) = effects_of_claims(claims).axes
    effects = [line for line in axes.lines if (line.get_gid() or "").startswith("effect: ")]
    assert len({line.get_marker() for line in effects}) == 3


def test_the_axis_stays_readable(claims: list[ClaimResult]) -> None:
    (axes,) = effects_of_claims(claims).axes
    low, high = axes.get_xlim()
    assert low > 0.04
    assert high < 25


def test_no_text_overlaps_another(claims: list[ClaimResult]) -> None:
    figure = effects_of_claims(claims)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    (axes,) = figure.axes
    renderer = canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in axes.texts]
    width = figure.bbox.width
    for box in boxes:
        assert box.x0 >= 0
        assert box.x1 <= width
    for a, b in combinations(boxes, 2):
        assert not (
            min(a.x1, b.x1) - max(a.x0, b.x0) > 0.5 and min(a.y1, b.y1) - max(a.y0, b.y0) > 0.5
        )


def test_nothing_decided_can_be_drawn(tmp_path: Path) -> None:
    empty = [ClaimResult(number=1, statement="", parts=(part(1, "a"),))]
    png, pdf = save(effects_of_claims(empty), tmp_path / "claims")
    assert png.stat().st_size > 1000
    assert pdf.stat().st_size > 1000
    assert np.isfinite(effects_of_claims(empty).axes[0].get_xlim()).all()

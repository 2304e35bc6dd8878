"""The forest plot of slopes: a row per group, its interval where the numbers are, no overlaps."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from mfscale.report import ReportError, parameters_by_group
from mfscale.scaling import Fit, fit


@pytest.fixture(scope="module")
def fits() -> list[Fit]:
    """Of direct training, of a group with a long name, and of one that determines nothing."""
    rng = np.random.default_rng(2)
    names = ("xtb:b:10000+forces > dft:b:1000+forces & cc:a:50", "none", "dft:b:100+forces")
    rows = [
        {"pretraining": name, "cc_size": size, "mae": 90 * size**-0.4 * np.exp(rng.normal(0, 0.05))}
        for name in names
        for size in ((25, 50, 100, 200) if name != names[2] else (25,))
    ]
    return fit(pd.DataFrame(rows), "power", x="cc_size", y="mae", group="pretraining")


def _drawn(figure: Figure) -> dict[str, np.ndarray]:
    lines = figure.axes[0].lines
    return {str(line.get_gid()): np.asarray(line.get_xdata()) for line in lines if line.get_gid()}


def test_every_group_is_a_row_with_its_interval(fits: list[Fit]) -> None:
    figure = parameters_by_group(fits)
    drawn = _drawn(figure)
    [direct] = [found for found in fits if found.group["pretraining"] == "none"]
    exponent = direct.parameters["exponent"]
    assert drawn["estimate: none (direct)"] == pytest.approx([exponent.estimate])
    assert drawn["interval: none (direct)"] == pytest.approx([exponent.low, exponent.high])
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts[0] == "none (direct)"  # the reference first
    assert "not determined" in texts
    assert "DFT 100" in texts
    assert "estimate: DFT 100" not in drawn
    assert "exponent β (95%)" in texts


def test_an_interval_beyond_the_axis_ends_in_an_arrow(fits: list[Fit]) -> None:
    few = pd.DataFrame(
        {
            "pretraining": ["none"] * 3 + ["dft:b:100"] * 3,
            "cc_size": [25, 50, 100] * 2,
            "mae": [30.0, 20.0, 14.0, 25.0, 11.0, 13.0],
        }
    )
    wide = fit(few, "power", x="cc_size", y="mae", group="pretraining")
    figure = parameters_by_group(wide)
    low, high = figure.axes[0].get_xlim()
    drawn = _drawn(figure)
    assert all(low <= x.min() <= x.max() <= high for x in drawn.values())
    assert {"<", ">"} <= {line.get_marker() for line in figure.axes[0].lines}
    assert fits


def test_no_text_overlaps_or_leaves_the_page(fits: list[Fit]) -> None:
    figure = parameters_by_group(fits)
    figure.draw_without_rendering()
    shown = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    boxes = [text.get_window_extent().padded(-0.5) for text in shown]
    for box in boxes:
        assert figure.bbox.x0 <= box.x0
        assert box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0
        assert box.y1 <= figure.bbox.y1
    for (one, a), (other, b) in combinations(zip(shown, boxes, strict=True), 2):
        assert not a.overlaps(b), (one.get_text(), other.get_text())


def test_what_cannot_be_drawn_is_explained(fits: list[Fit]) -> None:
    with pytest.raises(ReportError, match="of one power or line law"):
        parameters_by_group([])
    undetermined = [found for found in fits if not found.determined]
    with pytest.raises(ReportError, match="no group determines its exponent"):
        parameters_by_group(undetermined)

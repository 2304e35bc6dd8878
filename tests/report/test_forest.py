"""The forest plot of slopes: a row per group, its interval where the numbers are, no overlaps."""

import numpy as np
import pandas as pd
import pytest

from mfscale.report import ReportError, parameters_by_group
from mfscale.scaling import Fit, fit
from tests.report.conftest import assert_texts_apart, lines_of


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


def test_every_group_is_a_row_with_its_interval(fits: list[Fit]) -> None:
    figure = parameters_by_group(fits)
    drawn = lines_of(figure)
    [direct] = [found for found in fits if found.group["pretraining"] == "none"]
    exponent = direct.parameters["exponent"]
    assert drawn["estimate: none (direct)"][:, 0] == pytest.approx([exponent.estimate])
    assert drawn["interval: none (direct)"][:, 0] == pytest.approx([exponent.low, exponent.high])
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
    drawn = lines_of(figure)
    assert all(low <= xy[:, 0].min() <= xy[:, 0].max() <= high for xy in drawn.values())
    assert {"<", ">"} <= {line.get_marker() for line in figure.axes[0].lines}
    assert fits


def test_no_text_overlaps_or_leaves_the_page(fits: list[Fit]) -> None:
    figure = parameters_by_group(fits)
    assert_texts_apart(figure)


def test_what_cannot_be_drawn_is_explained(fits: list[Fit]) -> None:
    with pytest.raises(ReportError, match="of one power or line law"):
        parameters_by_group([])
    undetermined = [found for found in fits if not found.determined]
    with pytest.raises(ReportError, match="no group determines its exponent"):
        parameters_by_group(undetermined)

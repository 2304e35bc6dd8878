"""What is printed reads as a chemist would say it."""

from dataclasses import replace

import numpy as np
import pytest

from mfscale.claims import effect, factor_of, report
from tests.claims.conftest import Rows, part_of, pretraining, replicated


def fill(rows: Rows, seed: int) -> None:
    rows.stage(4.6, "cc:a:50", seed=seed)
    rows.stage(4.6 + np.log(0.61), "cc:a:50", parent=pretraining(rows, seed))


@pytest.mark.parametrize(
    ("found", "low", "high", "text"),
    [
        (0.612, 0.523, 0.709, "0.61 (0.52–0.71)"),
        (1.0021, 1.0004, 1.0038, "1.0021 (1.0004–1.0038)"),
        (0.998, 0.9957, 1.0023, "0.998 (0.996–1.002)"),
        (12.3, 9.87, 15.4, "12.3 (9.87–15.4)"),
        (0.931, 0.526, 1.65, "0.93 (0.53–1.65)"),
        (0.61, float("nan"), float("nan"), "0.610"),
    ],
)
def test_digits_tell_the_ends_from_one_another_and_from_1(
    found: float, low: float, high: float, text: str
) -> None:
    part = part_of(replicated(3, fill).assess(), "1a")
    assert factor_of(replace(part, factor=found, low=low, high=high)) == text


def test_effect_in_words() -> None:
    part = part_of(replicated(9, fill, noise=1e-3).assess(), "1a")
    assert effect(part).startswith("error × 0.6")
    assert effect(part).endswith("9 independent checkpoints, 9 pairs")


def test_report_lists_stages_when_asked() -> None:
    claims = replicated(3, fill).assess()
    part = part_of(claims, "1a")
    short, long = (report(list(claims.values()), rows=rows) for rows in (False, True))
    assert "rests on 6 rows (--rows lists them)" in short
    assert f"rows: {' '.join(part.treatments)}" in long
    assert f"against: {' '.join(part.controls)}" in long
    assert "UNDECIDED at matched total compute" not in short
    assert short.count("\n\n") == 7

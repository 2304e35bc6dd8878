"""The findings are what the shipped results say, and their figures are drawn from them."""

import re
import runpy
import sys
from pathlib import Path

import pytest

from mfscale.claims import ClaimResult, assess, factor_of, name_of, verdict_of
from mfscale.results import Store

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "findings.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def claims() -> list[ClaimResult]:
    store = Store(ROOT / "examples" / "embedded")
    frame = store.frame()
    science = frame[(frame["status"] == "finished") & (frame["purpose"] == "science")]
    return list(assess(science, lambda stage: store.errors(stage).to_pandas()))


def test_every_verdict_of_the_page_is_that_of_the_shipped_results(
    claims: list[ClaimResult],
) -> None:
    told = re.findall(r"^\*\*(\d)\. .*?\*\* \*(.*?)\.\*", PAGE, re.MULTILINE | re.DOTALL)
    verdicts = [(number, " ".join(verdict.split())) for number, verdict in told]
    assert verdicts == [(str(claim.number), verdict_of(claim)) for claim in claims]


def test_every_effect_of_the_page_is_that_of_the_shipped_results(
    claims: list[ClaimResult],
) -> None:
    """The table has every part that was compared at all, and no other number."""
    rows = [
        f"| {name_of(part)} | {factor_of(part)} | {part.n_clusters} | {part.verdict} |"
        for claim in claims
        for part in claim.parts
        if part.n_clusters
    ]
    table = re.findall(r"^\| \d[abc], .*\|$|^\| \d[abc] \|.*\|$", PAGE, re.MULTILINE)
    assert table == rows


@pytest.mark.slow
def test_figures_are_drawn_from_the_shipped_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = ROOT / "examples" / "figures.py"
    monkeypatch.setattr(sys, "argv", [str(script), str(tmp_path)])
    runpy.run_path(str(script), run_name="__main__")
    drawn = {path.name for path in tmp_path.glob("*.png")}
    assert drawn == {"strategies.png", "label-costs.png", "tuned-and-untuned.png"}
    assert all((ROOT / "docs" / "figures" / name).exists() for name in drawn)

"""The findings are what the shipped results say, and their figures are drawn from them."""

import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mfscale.claims import ClaimResult, assess, factor_of, name_of, verdict_of
from mfscale.cli import app
from mfscale.cli.results import study_rows
from mfscale.results import Store

ROOT = Path(__file__).parents[1]
STORE = Store(ROOT / "examples" / "embedded")
PAGE = (ROOT / "docs" / "findings.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def claims() -> list[ClaimResult]:
    frame = STORE.frame()
    science = frame[(frame["status"] == "finished") & (frame["purpose"] == "science")]
    return list(assess(science, lambda stage: STORE.errors(stage).to_pandas()))


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


def test_the_text_has_no_effect_that_the_table_lacks() -> None:
    effects = re.compile(r"\d\.\d+ \(\d\.\d+–\d\.\d+\)")
    prose, table = PAGE.split("\n| part, budget")
    assert set(effects.findall(" ".join(prose.split()))) <= set(effects.findall(table))


def mean_error(study: str, **equal: object) -> str:
    """Geometric mean over replicates of the CC test MAE, meV, as the page writes it."""
    rows = study_rows(STORE, ROOT / "sweeps" / f"{study}.yaml")
    for column, value in equal.items():
        rows = rows[rows[column] == value]
    errors = rows["cc_t_energy_mae_mev"].dropna()
    assert len(errors) >= 3
    return f"{np.exp(np.log(errors).mean()):.0f}"


@pytest.mark.parametrize(
    ("name", "study", "equal"),
    [
        ("direct", "strategies", {"used_by": "direct[0]"}),
        ("two heads, 300 DFT & CC", "strategies", {"used_by": "two-heads[0]"}),
        ("three heads, 300 xTB & 300 DFT", "strategies", {"used_by": "three-heads[0]"}),
        ("1,000 xTB, then CC", "strategies", {"used_by": "finetune-xtb[1]"}),
        ("300 DFT, then CC", "strategies", {"used_by": "finetune[1]", "trainable": "all"}),
        ("… the readout alone", "strategies", {"used_by": "finetune[1]", "trainable": "readout"}),
        ("… without the first block", "strategies", {"trainable": "freeze_blocks:1"}),
        ("… LoRA of rank 4", "strategies", {"trainable": "lora:4"}),
        ("1,000 xTB, 300 DFT, then CC", "strategies", {"used_by": "chain[2]"}),
        ("300 DFT, then CC with DFT replayed", "strategies", {"used_by": "replay[1]"}),
        ("CC minus xTB, an xTB label each prediction", "strategies", {"cc_minus": "xtb"}),
        ("two heads, one readout with the method as input", "fidelity", {"fidelity": "embedding"}),
    ],
)
def test_strategies_of_the_page(name: str, study: str, equal: dict[str, object]) -> None:
    errors = [mean_error(study, cc_size=labels, **equal) for labels in (50, 200)]
    assert f"| {name} | {' | '.join(errors)} |" in PAGE


@pytest.mark.parametrize(
    ("name", "pretraining", "places"),
    [
        ("direct, defaults", "none", "direct-untuned[0]"),
        ("direct, tuned", "none", "direct[0]"),
        ("1,000 DFT labels first, defaults", "dft:b:1000+forces", "dft-untuned[1]"),
        ("1,000 DFT labels first, tuned", "dft:b:1000+forces", "dft[1]"),
    ],
)
def test_sizes_of_the_page(name: str, pretraining: str, places: str) -> None:
    errors = [
        mean_error("sizes", size=size, pretraining=pretraining, used_by=places)
        for size in ("tiny", "small", "medium")
    ]
    assert f"| {name} | {' | '.join(errors)} |" in PAGE


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


@pytest.mark.slow
def test_the_shipped_results_make_a_page(tmp_path: Path) -> None:
    """Groups by columns in which some rows have nothing, such as settings of a parent."""
    page = tmp_path / "page.html"
    made = CliRunner().invoke(app, ["report", "--store", str(STORE.path), "--out", str(page)])
    assert made.exit_code == 0, made.output
    assert "5 independent checkpoints" in page.read_text(encoding="utf-8")

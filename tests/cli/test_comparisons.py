"""``compare --by``: one column compared, all else equal; and many pairs cut for people."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import Result

from mfscale.cli import comparisons
from mfscale.cli._analysis import Question
from mfscale.results import Store
from mfscale.scaling.wald import holm
from tests.cli.conftest import Command, answer, assert_one_message

Call = Callable[..., Result]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Codes a and b, b at 0.8 of the error, before and after a pre-training that halves it."""
    rows, i = ["labels,mae,code,kind"], 0
    for code, kind in (("a", "direct"), ("b", "direct"), ("a", "tuned"), ("b", "tuned")):
        for labels in (25, 50, 100, 200, 400):
            i += 1
            height = 60 * (0.8 if code == "b" else 1) * (0.5 if kind == "tuned" else 1)
            noise = np.exp(0.02 * np.sin(i**2))
            rows.append(f"{labels},{height * labels**-0.5 * noise},{code},{kind}")
    path = tmp_path / "codes.csv"
    path.write_text("\n".join(rows))
    return path


OPTIONS = ("--x", "labels", "--y", "mae", "--group", "code,kind")


def test_one_column_is_compared_all_else_equal(call: Call, table: Path) -> None:
    asked = ("compare", "--table", table, *OPTIONS, "--by", "code")
    found = answer(call(*asked, "--json"))
    assert found["by"] == "code"
    assert [s["within"] for s in found["strata"]] == [{"kind": "direct"}, {"kind": "tuned"}]
    heights = [p for s in found["strata"] for p in s["pairs"] if p["quantity"] == "height"]
    assert [p["change"] for p in heights] == pytest.approx([0.8, 0.8], rel=0.05)
    assert [(p["first"], p["second"]) for p in heights] == [("a", "b")] * 2
    expected = holm(np.array([p["p"] for p in heights]))  # over both strata
    assert [p["p_holm"] for p in heights] == pytest.approx(expected)
    shown = call(*asked).stdout
    assert "kind = direct: a; b" in shown
    assert shown.count("common height?") == 2


def test_many_pairs_are_cut_for_people_alone(call: Call, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [
        f"{x},{(60 + g) * x**-0.5 * np.exp(0.05 * rng.normal())},{g}"
        for g in range(8)
        for x in (25, 50, 100, 200)
    ]
    path = tmp_path / "many.csv"
    path.write_text("\n".join(["x,y,g", *rows]))
    asked = ("compare", "--table", path, "--x", "x", "--y", "y", "--group", "g")
    assert len(answer(call(*asked, "--json"))["pairs"]) == 56  # 28 of each of two quantities
    assert "and 36 more pairs" in call(*asked).stdout


def test_settings_of_one_alone_part_no_strata() -> None:
    """MACE has another rate at each pre-training; NequIP was trained at two budgets."""
    frame = pd.DataFrame(
        [
            {"code": code, "x": x, "y": 1.0, "hp_rate": rate, "hp_steps": steps}
            for code, rate, steps in (("m", 0.1, 10), ("n", 0.2, 10), ("n", 0.3, 20))
            for x in (1, 2)
        ]
    )
    of = ("code", "hp_rate", "hp_steps")
    question = Question("power", frame, "x", "y", of, None, of_store=True)
    found, group, within = comparisons.compared_by(question, "code")
    assert (group, within) == (["code"], ["settings"])
    assert list(found.frame["settings"].unique()) == ["hp_steps = 10", "hp_steps = 20"]


def test_kinds_of_a_store_are_compared_at_equal_labels(call: Call, store: Store) -> None:
    of = ("compare", "--store", store.path, "--json")
    assert {"tests", "pairs"} <= answer(call(*of)).keys()
    labels = comparisons.labels_of(pd.Series(["none", "xtb:b:1000+forces > dft:b:300"]))
    assert list(labels) == ["none", "1000, 300"]


@pytest.mark.parametrize(
    ("by", "words"),
    [
        ("architecture", ("--by architecture", "pretraining")),
        ("nothing", ("--by nothing", "pretraining_kind")),
        ("pretraining_kind", ("no groups of",)),
    ],
)
def test_bad_columns(by: str, words: tuple[str, ...], store: Store, mfscale_here: Command) -> None:
    assert_one_message(mfscale_here("compare", "--store", store.path, "--by", by), *words)

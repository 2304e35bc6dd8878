"""``compare``, ``invert``, ``mix`` and ``worth``, on tables with known answers and a real store."""

import csv
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result

from mfscale.data import open_dataset
from mfscale.data.header import read_header, write_header
from mfscale.results import Store
from tests.cli.conftest import Command, answer, assert_one_message

Call = Callable[..., Result]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """60·x^−0.5 alone, and half of it after pre-training; ± 1% so that there are intervals."""
    path = tmp_path / "mine.csv"
    with path.open("w") as file:
        writer = csv.writer(file)
        writer.writerow(["cc", "dft", "mae", "after"])
        for i, x in enumerate((25, 50, 100, 200, 400, 800)):
            noise = (0.99, 1.01)[i % 2]
            writer.writerow([x, 0, 60 * x**-0.5 * noise, "none"])
            writer.writerow([x, 250 if x > 50 else 500, 30 * x**-0.5 / noise, "dft"])
    return path


OPTIONS = ("--x", "cc", "--y", "mae", "--group", "after")


def test_compare_finds_one_slope_and_two_heights(call: Call, table: Path) -> None:
    found = answer(call("compare", "--table", table, *OPTIONS, "--json"))
    p = {test["quantity"]: test["p"] for test in found["tests"]}
    assert p["exponent"] > 0.05
    assert p["height"] < 1e-6
    (height,) = (pair for pair in found["pairs"] if pair["quantity"] == "height")
    assert height["change"] == pytest.approx(2, rel=0.03)  # none over dft
    assert "common exponent?  not excluded" in call("compare", "--table", table, *OPTIONS).stdout


def test_invert_knows_how_many_labels(call: Call, table: Path) -> None:
    found = answer(call("invert", "--table", table, *OPTIONS, "--error", 3, "--json"))
    estimates = {a["group"]["after"]: a["estimate"] for a in found["answers"]}
    assert estimates["none"] == pytest.approx(400, rel=0.05)  # (60 / 3)²
    assert estimates["dft"] == pytest.approx(100, rel=0.05)
    assert all(a["low"] < a["estimate"] < a["suffices"] < a["high"] for a in found["answers"])
    shown = call("invert", "--table", table, *OPTIONS, "--error", 1)
    assert "with probability 0.9 the median of runs" in shown.stdout
    assert shown.stderr.count("warning extrapolation") == 2  # a distance of its own for each group


def test_worth_of_half_the_error_is_three_times_the_labels(call: Call, table: Path) -> None:
    found = answer(call("worth", "--table", table, *OPTIONS, "--labels", 100, "--json"))
    (worth,) = found["answers"]
    (row,) = worth["table"]
    assert row["worth"] == pytest.approx(300, rel=0.05)  # 4 × 100 − 100
    assert row["helps"] > 0.99
    assert "worth" in call("worth", "--table", table, *OPTIONS).stdout


def test_mix_of_a_table(call: Call, tmp_path: Path) -> None:
    """60·(cc + 0.3·dft)^−0.5: a DFT label at a tenth of the cost is worth three tenths."""
    path = tmp_path / "mixes.csv"
    sizes = [(cc, dft) for cc in (25, 50, 100, 200, 400) for dft in (0, 100, 400, 1600)]
    rows = [
        f"{cc},{dft},{60 * (cc + 0.3 * dft) ** -0.5 * (0.99, 1.01)[i * i % 3 % 2]}"
        for i, (cc, dft) in enumerate(sizes)
    ]
    path.write_text("\n".join(["cc,dft,mae", *rows]))
    asked = ("--table", path, "--x", "cc,dft", "--y", "mae", "--error", 5)
    found = answer(call("mix", *asked, "--cost", "cc=10", "--cost", "dft=1", "--json"))
    (mix,) = found["answers"]
    assert mix["cost_alone"] == pytest.approx(1440, rel=0.1)  # 10 · (60 / 5)²
    assert mix["cost"] < 0.6 * mix["cost_alone"]
    assert mix["predicted"]["median"] <= 5
    assert "The cheapest mix" in call("mix", *asked).stdout


def test_questions_of_a_store(call: Call, store: Store) -> None:
    of = ("--store", store.path)
    found = answer(call("compare", *of, "--json"))
    assert {t["quantity"] for t in found["tests"]} == {"exponent", "height"}
    fits = answer(call("fit", *of, "--law", "power", "--json"))
    reached = max(f["y_unit"] for f in fits if f["parameters"]["exponent"]["estimate"] is not None)
    found = answer(call("invert", *of, "--error", reached, "--json"))
    assert found["answers"]
    assert "one-draw" in {w["code"] for w in found["warnings"]}
    found = answer(call("worth", *of, "--json"))
    assert {a["group"]["pretraining"] for a in found["answers"]} <= {
        "dft:b:8+forces",
        "dft:b:16+forces",
    }
    assert found["answers"][0]["price"] == pytest.approx(0.8)  # 8 DFT labels, a tenth of CC each


def test_mix_of_a_small_store_answers_with_its_doubts(store: Store, mfscale_here: Command) -> None:
    """Direct and fine-tuned runs are fitted together; what is doubtful of 13 runs is said."""
    found = mfscale_here("mix", "--store", store.path, "--error", 1e6)
    assert found.status == 0
    assert "n_labels_cc = 8 is the fewest that was looked at" in found.err
    for code in ("lack-of-fit", "one-draw", "unconverged", "unidentified"):
        assert f"warning {code}" in found.err


def test_mix_tells_of_several_groups_why_none_reaches(mfscale_here: Command, archive: Path) -> None:
    refused = mfscale_here("mix", "--store", archive, "--error", 20)
    assert_one_message(refused, "groups reaches it", "pretraining_kind = ", "irreducible error")
    assert refused.err.count("pretraining_kind") > 3


def test_labels_that_no_run_went_without_are_not_left_out_of_a_mix(
    call: Call, table: Path, tmp_path: Path
) -> None:
    """Going without them would be infinitely far from the data."""
    path = tmp_path / "always.csv"
    lines = table.read_text().splitlines()
    path.write_text("\n".join([lines[0], *(line for line in lines[1:] if line.endswith(",dft"))]))
    options = ("--x", "cc,dft", "--y", "mae", "--law", "label-equivalent", "--error", 10, "--json")
    found = answer(call("mix", "--table", path, *options))
    (mix,) = found["answers"]
    assert mix["labels"]["dft"] > 249
    assert mix["cost_alone"] is None
    assert "never-without" in {warning["code"] for warning in found["warnings"]}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("invert", "--error", -1, *OPTIONS), ("mae = -1", "above 0")),
        (("invert", "--error", 3, "--probability", 2, *OPTIONS), ("probability = 2",)),
        (("compare", "--x", "cc", "--y", "mae"), ("--group",)),
        (("worth", "--direct", "nothing", *OPTIONS), ("after = nothing", "dft, none")),
        (("mix", "--error", 3, "--x", "cc,xyz", "--y", "mae"), ("'xyz'",)),
        (("mix", "--error", 3, "--x", "cc,dft", "--y", "mae", "--cost", "abc=3"), ("abc", "dft")),
        (("mix", "--error", 3, "--x", "cc,dft", "--y", "mae", "--cost", "cc"), ("--cost cc",)),
        (("mix", "--error", 0, "--x", "cc,dft", "--y", "mae"), ("above 0",)),
        (("mix", "--error", 1e-9, "--x", "cc,dft", "--y", "mae"), ("not reachable",)),
    ],
)
def test_bad_questions_get_one_message(
    arguments: tuple[object, ...], words: tuple[str, ...], table: Path, mfscale_here: Command
) -> None:
    assert_one_message(mfscale_here(*arguments, "--table", table), *words)


def test_an_error_below_the_irreducible_one_is_not_reachable(
    tmp_path: Path, mfscale_here: Command
) -> None:
    path = tmp_path / "floor.csv"
    rows = [f"{x},{2 + 60 / x}" for x in (10, 20, 40, 80, 160, 320, 640)]
    path.write_text("\n".join(["x,y", *rows]))
    asked = ("--table", path, "--x", "x", "--y", "y", "--law", "saturating power")
    assert_one_message(mfscale_here("invert", "--error", 1, *asked), "irreducible error E is 2")


def test_a_store_without_the_columns_says_so(store: Store, mfscale_here: Command) -> None:
    for command in (("mix", "--error", 3), ("worth",), ("compare",), ("invert", "--error", 3)):
        refused = mfscale_here(*command, "--store", store.path, "--target", "xtb")
        assert_one_message(refused, "xtb", "--target")


def test_worth_takes_the_costs_of_the_dataset(call: Call, archive: Path, tmp_path: Path) -> None:
    """Rows of the archive, of a dataset where a DFT label costs half a CC label."""
    dataset = tmp_path / "mine"
    shutil.copytree(open_dataset("chno3").path, dataset)
    header = read_header(dataset)
    costs = {"xtb": 1.0, "dft": 5.0, "cc": 10.0}
    methods = [replace(m, cost=costs[m.name]) for m in header.methods]
    write_header(header.model_copy(update={"methods": tuple(methods)}), dataset)
    store = Store(tmp_path / "store", create=True)
    shipped = Store(archive)
    chosen = shipped.sql(
        "select stage_id from results where architecture = 'nequip' and size = 'tiny'"
        " and trainable = 'all' and fidelity = 'readout' and purpose = 'science'"
        " and pretraining in ('none', 'dft:b:1000+forces', 'xtb:b:1000+forces')"
    ).to_pylist()
    for row in chosen:
        content = shipped.row(row["stage_id"])
        assert content is not None
        store.publish({**content, "dataset": str(dataset)})
    found = answer(call("worth", "--store", store.path, "--labels", 100, "--json"))
    prices = {a["group"]["pretraining"]: a["price"] for a in found["answers"]}
    assert prices["dft:b:1000+forces"] == pytest.approx(500)
    assert prices["xtb:b:1000+forces"] == pytest.approx(100)
    given = ("--labels", 100, "--cost", "dft=2", "--json")
    found = answer(call("worth", "--store", store.path, *given))
    prices = {a["group"]["pretraining"]: a["price"] for a in found["answers"]}
    assert prices["dft:b:1000+forces"] == pytest.approx(200)

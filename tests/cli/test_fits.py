"""``fit`` of every law, saved and asked again; York's line; laws compared; laws inverted."""

import csv
import json
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from mfscale.results import Store
from mfscale.scaling import LAWS
from tests.cli.conftest import Command, answer, assert_one_message

Call = Callable[..., Result]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """10·(p/400)^−0.3·(f/100)^−0.4 + 2 and 20·(N/10⁴)^−0.5 + 60·D^−0.5, in all combinations."""
    path = tmp_path / "mine.csv"
    with path.open("w") as file:
        writer = csv.writer(file)
        writer.writerow(["f", "p", "N", "mae", "of_size"])
        every = product((25, 50, 100, 200, 400), (100, 400, 1600), (1e4, 3e4, 1e5))
        for i, (f, p, N) in enumerate(every):
            noise = float(np.exp(0.01 * np.sin(i**2)))
            mae = (10 * (p / 400) ** -0.3 * (f / 100) ** -0.4 + 2) * noise
            writer.writerow([f, p, N, mae, (20 * (N / 1e4) ** -0.5 + 60 * f**-0.5) * noise])
    return path


COLUMNS = {
    "multiplicative": "p,f",
    "transfer gap": "p,f",
    "additive": "N,f",
    "effective data": "f,N",
    "label-equivalent": "cc=f",
}


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Five settings of twelve checkpoints, ln y = 1 + 0.8 ln x, with as much noise as trend."""
    rng = np.random.default_rng(1)
    path = tmp_path / "pairs.csv"
    with path.open("w") as file:
        writer = csv.writer(file)
        writer.writerow(["before", "after", "labels"])
        for i, labels in enumerate((100, 200, 400, 800, 1600)):
            for u, v in rng.normal(0, 1, (12, 2)):
                ln_x, ln_y = 3 - 0.1 * i, 1 + 0.8 * (3 - 0.1 * i)
                x, y = np.exp([ln_x + 0.15 * u, ln_y + 0.05 * v])
                writer.writerow([x, y, labels])
    return path


@pytest.mark.parametrize("law", list(LAWS))
def test_every_law_is_fitted_and_reported(call: Call, table: Path, law: str) -> None:
    x = COLUMNS.get(law, "f")
    y = "of_size" if law == "additive" else "mae"
    if law == "label-equivalent":
        x, target = "f,p", ("--target", "f")
    else:
        target = ()
    asked = ("fit", "--table", table, "--law", law, "--x", x, "--y", y, *target)
    (found,) = answer(call(*asked, "--json"))
    assert found["law"] == law
    assert {"parameters", "solution", "warnings", "axes"} <= found.keys()
    assert "Doubling" in (shown := call(*asked).stdout) or "Halving" in shown


def test_saved_fits_answer_alike_without_the_rows(call: Call, table: Path, tmp_path: Path) -> None:
    of = ("--table", table, "--law", "additive", "--x", "N,f", "--y", "of_size")
    saved = tmp_path / "laws.json"
    fits = answer(call("fit", *of, "--save", saved, "--json"))
    assert json.loads(saved.read_text()) == fits
    point = ("--at", "N=20000,f=100", "--json")
    from_rows = call("predict", *of, *point).stdout
    inverse = ("--error", 15, "--of", "N", "--at", "f=200", "--json")
    inverted = call("invert", *of, *inverse).stdout
    table.unlink()
    assert call("predict", "--fit", saved, *point).stdout == from_rows
    assert call("invert", "--fit", saved, *inverse).stdout == inverted
    (found,) = json.loads(inverted)["answers"]
    # 20 (N / 10⁴)^−0.5 = 15 − 60 / √200
    assert found["estimate"] == pytest.approx(1e4 * (20 / (15 - 60 / 200**0.5)) ** 2, rel=0.05)
    assert found["at"] == {"f": 200}


def test_saved_fits_of_a_store(call: Call, store: Store, tmp_path: Path) -> None:
    saved = tmp_path / "laws.json"
    fits = answer(call("fit", "--store", store.path, "--save", saved, "--json"))
    assert {found["law"] for found in fits} == {"power", "line"}
    of_store = call("predict", "--store", store.path, "--at", 64, "--json").stdout
    asked = ("predict", "--fit", saved, "--law", "power", "--store", tmp_path / "none")
    assert call(*asked, "--at", 64, "--json").stdout == of_store
    by_name = answer(call("predict", "--fit", saved, "--at", "cc_size=64", "--json"))
    medians = [row["median"] for row in json.loads(of_store)["predictions"]]
    assert [row["median"] for row in by_name["predictions"]] == medians
    assert "cc_size" in call(*asked, "--at", 64).stdout


def test_bad_files_of_fits(
    table: Path, tmp_path: Path, mfscale_here: Command, call: Call, store: Store
) -> None:
    bad, both = tmp_path / "bad.json", tmp_path / "both.json"
    for content, words in (
        (None, ("cannot be read", "bad.json")),
        ("[", ("cannot be read",)),
        ("[]", ("holds no fit",)),
        ('{"a": 1}', ("bad.json", "format None")),
        ('[{"format": 2, "law": "power", "axes": {"x": 3}}]', ("bad.json", "not a saved fit")),
        ("[3]", ("bad.json", "not a saved fit")),
    ):
        if content is not None:
            bad.write_text(content)
        for command in (("predict", "--at", 3), ("invert", "--error", 3)):
            assert_one_message(mfscale_here(*command, "--fit", bad), *words)
    call("fit", "--store", store.path, "--save", both)
    several = mfscale_here("predict", "--fit", both, "--at", 3)
    assert_one_message(several, "cc_size", "parent_validation", "--law")
    missing = mfscale_here("invert", "--fit", both, "--error", 3, "--law", "additive")
    assert_one_message(missing, "no additive law", "power, line")
    nowhere = ("--x", "f", "--y", "mae", "--save", tmp_path / "none" / "laws.json")
    assert_one_message(mfscale_here("fit", "--table", table, *nowhere), "cannot be written")
    for options in (("--where", "cc_size>3"), ("--level", 0.9), ("--intervals", "t")):
        refused = mfscale_here("predict", "--fit", both, "--at", 3, *options)
        assert refused.status == 2
        assert options[0] in refused.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--law", "additive", "--x", "N,f"), ("several numbers", "--of")),
        (("--law", "additive", "--x", "N,f", "--of", "N"), ("lacks f",)),
        (("--law", "additive", "--x", "N,f", "--at", "f=3,N=2"), ("--of",)),
        (("--law", "additive", "--x", "N,f", "--at", "f=3,p=2"), ("no law is of these",)),
        (("--law", "additive", "--x", "N,f", "--at", "100"), ("name the other",)),
        (("--law", "power", "--x", "f", "--at", "p=2"), ("of one number", "leave --at out")),
        (("--law", "power", "--x", "f", "--of", "p"), ("p: no law is of these",)),
    ],
)
def test_bad_inverse_questions(
    options: tuple[str, ...], words: tuple[str, ...], table: Path, mfscale_here: Command
) -> None:
    of = ("--table", table, "--y", "of_size", "--error", 15)
    assert_one_message(mfscale_here("invert", *of, *options), *words)


def test_a_store_of_one_model_size_says_what_lacks(store: Store, mfscale_here: Command) -> None:
    asked = ("--law", "additive", "--of", "n_parameters", "--at", "cc=16", "--error", 9)
    refused = mfscale_here("invert", "--store", store.path, *asked)
    assert_one_message(refused, "n_parameters: 1", "run a study", "size: [tiny, small, medium]")
    assert refused.err.count("\n") == 1


PAIRS = ("--x", "before", "--y", "after")


def test_york_beside_least_squares(call: Call, pairs: Path) -> None:
    asked = ("fit", "--table", pairs, *PAIRS, "--replicate", "labels")
    found = answer(call(*asked, "--york", "--json"))
    (line,) = found["lines"]
    assert line["low"] < 0.8 < line["high"]  # of the simulated relation
    runs = line["least_squares_of_runs"]
    assert runs["high"] < 0.8  # noise of x as large as its trend: half of the slope
    assert 0.8 < line["reliability"] < 1
    assert line["n_points"] == 5
    shown = call(*asked, "--york").stdout
    assert "York's line" in shown
    assert "least squares of the 60 runs themselves has slope" in shown
    (plain,) = answer(call(*asked, "--law", "line", "--json"))
    assert plain["parameters"]["slope"]["estimate"] == pytest.approx(runs["slope"])
    (noisy,) = (w["message"] for w in plain["warnings"] if w["code"] == "noisy-x")
    assert "--york" in noisy
    assert "reliability of before is 0." in noisy
    assert "noisy-x" in call(*asked, "--law", "line").stdout


def test_lines_of_a_store_know_their_replicates(
    call: Call, store: Store, mfscale_here: Command
) -> None:
    assert answer(call("fit", "--store", store.path, "--law", "line", "--json"))
    refused = mfscale_here("fit", "--store", store.path, "--york")
    assert_one_message(refused, "needs three settings")  # the store has two sizes


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--york",), ("--replicate",)),
        (("--york", "--replicate", "nothing"), ("--replicate nothing",)),
        (("--york", "--replicate", "labels", "--law", "power"), ("leave --law power out",)),
        (("--choose", "--law", "additive"), ("does not compare the additive law",)),
    ],
)
def test_bad_questions_of_pairs(
    options: tuple[str, ...], words: tuple[str, ...], pairs: Path, mfscale_here: Command
) -> None:
    assert_one_message(mfscale_here("fit", "--table", pairs, *PAIRS, *options), *words)
    for other in (("--save", "f.json"), ("--intervals", "t"), ("--choose",)):
        refused = mfscale_here("fit", "--table", pairs, *PAIRS, "--york", *other)
        assert refused.status == 2
        assert other[0] in refused.err


def test_laws_are_compared(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "floor.csv"
    sizes = np.repeat([10, 20, 40, 80, 160, 320, 640, 1280], 3)
    rows = [f"{x},{(2 + 60 / x) * np.exp(0.03 * np.sin(i**2))},a" for i, x in enumerate(sizes)]
    path.write_text("\n".join(["labels,mae,kind", *rows, "10,3,b", "20,3,b"]))
    asked = ("fit", "--choose", "--table", path, "--x", "labels", "--y", "mae", "--group", "kind")
    found = answer(call(*asked, "--json"))
    (choice,) = found["choices"]
    assert choice["group"] == {"kind": "a"}
    assert [row["law"] for row in choice["table"]] == ["saturating power", "power"]
    assert choice["table"][0]["delta"] == 0
    assert len(choice["cuts"]) > 0
    left_out = [w["groups"] for w in found["warnings"] if w["code"] == "left-out"]
    assert left_out == [[{"kind": "b"}]]
    assert "RMSLE" in call(*asked).stdout


def test_laws_of_two_columns_are_compared(call: Call, table: Path) -> None:
    asked = ("fit", "--choose", "--table", table, "--x", "p,f", "--y", "mae", "--json")
    (choice,) = answer(call(*asked))["choices"]
    assert {row["law"] for row in choice["table"]} == {"multiplicative", "transfer gap", "additive"}


def test_exact_and_constant_numbers_are_told(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "exact.csv"
    path.write_text("\n".join(["x,y,same", *(f"{x},{5 * x**-0.5},3" for x in (10, 20, 40, 80))]))
    (exact,) = answer(call("fit", "--table", path, "--x", "x", "--y", "y", "--json"))
    assert "no-scatter" in {w["code"] for w in exact["warnings"]}
    asked = ("--x", "x", "--y", "same", "--law", "saturating power", "--json")
    (same,) = answer(call("fit", "--table", path, *asked))  # numpy's warnings would be errors
    assert {"no-scatter", "unidentified"} <= {w["code"] for w in same["warnings"]}


def test_one_cost_leaves_the_others(call: Call, tmp_path: Path, mfscale_here: Command) -> None:
    path = tmp_path / "mixes.csv"
    sizes = list(product((25, 50, 100, 200, 400), (0, 100, 400, 1600)))
    rows = [
        f"{cc},{dft},{60 * (cc + 0.3 * dft) ** -0.5 * (0.99, 1.01)[i * i % 3 % 2]}"
        for i, (cc, dft) in enumerate(sizes)
    ]
    path.write_text("\n".join(["cc,dft,mae", *rows]))
    asked = ("mix", "--table", path, "--x", "cc,dft", "--y", "mae", "--error", 5, "--json")
    (one,) = answer(call(*asked, "--cost", "cc=10"))["answers"]
    (both,) = answer(call(*asked, "--cost", "cc=10", "--cost", "dft=100"))["answers"]
    assert one == both
    refused = mfscale_here(*asked, "--target", "ccsd")
    assert_one_message(refused, "'ccsd'", "--target", "--x")

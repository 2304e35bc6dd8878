"""``predict`` of several numbers, lines against a column of choice, and wild intervals."""

import csv
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from mfscale.cli.study import expand_file
from mfscale.results import Store
from tests.cli.conftest import Command, answer, assert_one_message, run_one

Call = Callable[..., Result]


def noise(i: int) -> float:
    return float(np.exp(0.01 * np.sin(i**2)))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """90·dft^−0.2·cc^−0.4 and 20·(N / 10⁴)^−0.5 + 60·cc^−0.5, all combinations."""
    path = tmp_path / "mine.csv"
    with path.open("w") as file:
        writer = csv.writer(file)
        writer.writerow(["cc", "dft", "N", "mae", "of_size", "seed"])
        every = product((25, 50, 100, 200, 400), (100, 400, 1600), (1e4, 3e4, 1e5))
        for i, (cc, dft, N) in enumerate(every):
            mae = 90 * dft**-0.2 * cc**-0.4 * noise(i)
            of_size = (20 * (N / 1e4) ** -0.5 + 60 * cc**-0.5) * noise(i)
            writer.writerow([cc, dft, N, mae, of_size, i % 5])
    return path


@pytest.mark.parametrize("law", ["multiplicative", None])
def test_labels_of_two_methods(call: Call, table: Path, law: str | None) -> None:
    named = ("--law", law, "--x", "X=dft,f=cc") if law else ("--x", "cc,dft")
    asked = ("--table", table, *named, "--y", "mae", "--at", "cc=200,dft=1000")
    found = answer(call("predict", *asked, "--at", "cc=800,dft=1000", "--json"))
    first, second = found["predictions"]
    assert first["median"] == pytest.approx(90 * 1000**-0.2 * 200**-0.4, rel=0.02)
    assert first["new_run_low"] < first["mean_low"] < first["median"] < first["mean_high"]
    assert first["decades_from_data"] == 0
    assert second["decades_from_data"] == pytest.approx(np.log10(2))
    assert {"extrapolation"} <= {w["code"] for w in found["warnings"]}
    assert (first["cc"], first["dft"]) == (200, 1000)
    if law is None:
        assert "chosen-law" in {w["code"] for w in found["warnings"]}


@pytest.mark.parametrize("law", ["additive", "transfer gap", "label-equivalent"])
def test_every_law_of_several_is_predicted_from_a_table(call: Call, table: Path, law: str) -> None:
    names = "N=N,D=cc" if law == "additive" else "cc,dft"
    if law == "transfer gap":
        names = "p=dft,f=cc"
    y, point = ("of_size", "N=30000,cc=100") if law == "additive" else ("mae", "cc=100,dft=400")
    asked = ("--table", table, "--law", law, "--x", names, "--y", y, "--at", point)
    (row,) = answer(call("predict", *asked, "--json"))["predictions"]
    truth = 20 * 3**-0.5 + 6 if law == "additive" else 90 * 400**-0.2 * 100**-0.4
    assert row["median"] == pytest.approx(truth, rel=0.15)  # label-equivalent is of another form
    assert law in call("predict", *asked).stdout


def test_effective_data_is_asked_of_a_table(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "transferred.csv"
    every = product((25, 50, 100, 200), (1e4, 3e4, 1e5))
    rows = [f"{f},{N},{3 * f**0.2 * N**0.4 * noise(i)}" for i, (f, N) in enumerate(every)]
    path.write_text("\n".join(["f,N,worth", *rows]))
    asked = ("--table", path, "--law", "effective data", "--x", "f,N", "--y", "worth")
    (row,) = answer(call("predict", *asked, "--at", "f=100,N=30000", "--json"))["predictions"]
    assert row["median"] == pytest.approx(3 * 100**0.2 * 30000**0.4, rel=0.05)


def test_mixes_of_a_store_are_predicted(call: Call, store: Store) -> None:
    found = answer(call("predict", "--store", store.path, "--at", "cc=16,dft=16", "--json"))
    (row,) = found["predictions"]
    assert row["law"] == "label-equivalent"
    assert row["median"] > 0
    assert {"one-draw"} <= {w["code"] for w in found["warnings"]}


def test_a_line_against_the_test_error_of_the_parent(call: Call, store: Store) -> None:
    column = "parent_dft_t_energy_mae_mev"
    fits = answer(call("fit", "--store", store.path, "--x", column, "--json"))
    assert {f["law"] for f in fits} == {"line"}
    assert {f["axes"]["x"]["column"] for f in fits} == {column}
    where = fits[0]["axes"]["x"]["reference"]
    asked = ("predict", "--store", store.path, "--law", "line", "--x", column, "--at", where)
    assert answer(call(*asked, "--json"))["predictions"]
    assert column in call(*asked).stdout


def test_wild_intervals_from_the_command_line(call: Call, table: Path) -> None:
    of = ("--table", table, "--x", "cc", "--y", "mae", "--cluster", "seed", "--intervals", "wild")
    (law,) = answer(call("fit", *of, "--json"))
    assert law["intervals"] == "wild"
    exponent = law["parameters"]["exponent"]
    assert exponent["low"] < exponent["estimate"] < exponent["high"]
    assert "few-clusters" in {w["code"] for w in law["warnings"]}
    assert "wild cluster bootstrap-t, Webb's weights, from 5 clusters" in call("fit", *of).stdout
    (row,) = answer(call("predict", *of, "--at", 100, "--json"))["predictions"]
    assert row["mean_low"] < row["median"] < row["mean_high"]


SIZES = """
dataset: chno3
model: {architecture: nequip, size: [tiny, small]}
training: {max_steps: 2, validate_every: 2, batch_size: 4}
strategies: {direct: [{heads: {cc: {subset: a, size: [4, 8, 16], validation: 4}}}]}
"""


@pytest.mark.slow
def test_model_size_and_labels_of_a_store(call: Call, tmp_path: Path) -> None:
    study = tmp_path / "sizes.yaml"
    study.write_text(SIZES)
    store = Store(tmp_path / "store", create=True)
    for stage in expand_file(study, store.path).stages.values():
        assert run_one(stage, store)["status"] == "finished"
    for law in ("additive", "multiplicative"):
        asked = ("predict", "--store", store.path, "--law", law)
        found = answer(call(*asked, "--at", "cc=16,n_parameters=50000", "--json"))
        (row,) = found["predictions"]
        assert row["law"] == law
        assert row["median"] > 0
        assert row["n_parameters"] == 50_000
        assert (row["cc_size"], row["pretraining"]) == (16, "none")
        assert row["decades_from_data"] >= 0
        assert "one-draw" in {w["code"] for w in found["warnings"]}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--at", "cc=200,dft=many", "--x", "cc,dft"), ("dft=many", "cc=100")),
        (("--at", "cc=200", "--at", "dft=3", "--x", "cc,dft"), ("same names",)),
        (("--at", "cc=200,dft=1", "--law", "power", "--x", "cc"), ("of one number",)),
        (("--at", "200", "--law", "additive", "--x", "N,cc"), ("several numbers",)),
        (("--at", "cc=200", "--law", "additive", "--x", "N,cc"), ("lacks N",)),
        (("--at", "cc=200,N=1", "--law", "additive", "--x", "cc"), ("N=COLUMN,D=COLUMN",)),
        (("--at", "cc=200,xyz=1", "--x", "cc,dft"), ("xyz", "no law is of these")),
        (("--at", "cc=0,dft=1", "--x", "cc,dft", "--law", "multiplicative"), ("= 0", "positive")),
        (("--at", "9", "--law", "shifted line", "--x", "cc", "--intervals", "wild"), ("straight",)),
    ],
)
def test_bad_questions_get_one_message(
    options: tuple[str, ...], words: tuple[str, ...], table: Path, mfscale_here: Command
) -> None:
    refused = mfscale_here("predict", "--table", table, "--y", "mae", *options)
    assert_one_message(refused, *words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("fit", "--law", "line", "--x", "parent_nothing"), ("parent_nothing", "dft_t_energy")),
        (("fit", "--law", "line", "--x", "architecture"), ("no numbers",)),
        (("fit", "--law", "power", "--x", "n_parameters"), ("cc_size", "--law line")),
        (("mix", "--error", 9, "--x", "cc,dft"), ("--x cc,dft", "leave it out")),
        (("predict", "--at", "f=1,N=2", "--law", "effective data"), ("mfscale worth",)),
        (
            ("predict", "--at", "cc=9,n_parameters=2"),
            ("5 or more", "n_parameters: 1", "size: [tiny"),
        ),
        (("predict", "--at", "cc=16,xtb=16"), ("xtb", "no law is of these")),
        (("fit", "--where", "cc_size>=1000"), ("--where cc_size>=1000", "no row")),
    ],
)
def test_bad_questions_of_a_store(
    options: tuple[object, ...], words: tuple[str, ...], store: Store, mfscale_here: Command
) -> None:
    command, *rest = options
    assert_one_message(mfscale_here(command, "--store", store.path, *rest), *words)

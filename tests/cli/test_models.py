"""The list of models, and what is said of an architecture that is not installed."""

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from mfscale.models import LADDER, ladder

Call = Callable[..., Result]
Command = Callable[..., Any]


def test_every_model_is_listed(call: Call) -> None:
    rows = json.loads(call("models", "--json").stdout)
    assert [(row["architecture"], row["size"]) for row in rows] == [
        (architecture, size) for architecture, sizes in LADDER.items() for size in sizes
    ]
    shown = call("models").stdout
    for row in rows:
        assert row["cutoff_a"] == 5.0
        assert row["structures_per_second_energies"] > row["structures_per_second_forces"] > 0
        assert f"{row['n_parameters']:,}" in shown
        assert row["install"] is None


def test_an_architecture_that_is_not_installed_says_what_to_type(
    call: Call,
    mfscale_here: Command,
    study_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(ladder.INSTALL, "nequip", (["a_module_nobody_has"], "pip install nequip"))
    words = "nequip is not installed here; type: pip install nequip"
    assert words in call("models").stdout
    call("plan", study_file, "--store", tmp_path / "store")  # to be run elsewhere, perhaps
    answer = mfscale_here("run", study_file, "--store", tmp_path / "store")
    assert answer.status == 2
    assert answer.err == f"error: {words}\n"


def test_kernels_that_are_not_installed_say_what_to_type(
    mfscale_here: Command, study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(name: str) -> object:
        return None if name.startswith("cuequivariance") else find_spec(name)

    monkeypatch.setattr(ladder, "find_spec", found)
    asked = ("run", study_file, "--store", tmp_path / "store", "--kernels", "cuequivariance")
    answer = mfscale_here(*asked, "--gpus", "1")
    assert answer.status == 2
    words = "cuEquivariance is not installed here; type: pip install 'mfscale[cuequivariance]'"
    assert answer.err == f"error: {words}\n"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "--kernels cuequivariance goes with --gpus: they run nowhere else"),
        (
            ["--gpus", "1", "--compile", "always"],
            "--compile always compiles e3nn's products: leave out --kernels",
        ),
    ],
)
def test_kernels_where_they_are_of_no_use(
    mfscale_here: Command, study_file: Path, tmp_path: Path, options: list[str], words: str
) -> None:
    asked = ("run", study_file, "--store", tmp_path / "store", "--kernels", "cuequivariance")
    answer = mfscale_here(*asked, *options)
    assert answer.status == 2
    assert words in " ".join(answer.err.replace("│", " ").split())

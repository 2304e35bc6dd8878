"""An archive of really trained stages answers as their store does."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from mfscale.results import Store
from mfscale.study import Stage
from tests.cli.conftest import Command, answer, assert_one_message

Call = Callable[..., Result]
REALS = ("energy_error_mev", "forces_mae_mev_per_a")
"""The columns that an archive rounds to single precision."""


@pytest.fixture
def archived(call: Call, store: Store, tmp_path: Path) -> Store:
    call("archive", tmp_path / "archive", "--store", store.path)
    return Store(tmp_path / "archive")


@pytest.mark.parametrize(
    "command",
    [
        ["status"],
        ["results", "--columns", "stage_id,labels,cc_t_energy_mae_mev"],
        ["sql", "select architecture, count(*) as n from results group by all"],
        ["fit"],
        ["triage"],
    ],
    ids=lambda command: command[0],
)
def test_commands_that_read_answer_alike(
    call: Call, store: Store, archived: Store, command: list[str]
) -> None:
    of_store = answer(call(*command, "--store", store.path, "--json"))
    of_archive = answer(call(*command, "--store", archived.path, "--json"))
    if command == ["status"]:
        assert of_store.pop("store") != of_archive.pop("store")
    assert of_archive == of_store


def test_errors_are_those_of_the_store(store: Store, archived: Store, stages: list[Stage]) -> None:
    for stage in stages[:-1]:
        of_store = [e for e in store.errors(stage.id).to_pylist() if e["head"] == e["method"]]
        of_archive = archived.errors(stage.id).to_pylist()
        assert len(of_archive) == len(of_store) > 0
        for one, other in zip(of_archive, of_store, strict=True):
            assert one == other | {k: other[k] and pytest.approx(other[k], rel=1e-6) for k in REALS}


def test_sizes_are_told(call: Call, store: Store, study_file: Path, tmp_path: Path) -> None:
    written = answer(
        call("archive", tmp_path / "one", "--store", store.path, "--study", study_file,
             "--target", "cc", "--json")
    )  # fmt: skip
    assert written["stages"] == 17
    assert written["with_errors"] == 13  # 17 less four pre-trainings
    files = {path.name: path.stat().st_size for path in (tmp_path / "one").iterdir()}
    assert written["sizes"] == files
    shown = call("archive", tmp_path / "two", "--store", store.path).stdout
    assert "17 stages" in shown
    assert "errors.parquet" in shown


def test_the_commands_on_the_page_run(
    call: Call, store: Store, study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "archives.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    shutil.copy(study_file, "study.yaml")
    monkeypatch.setenv("MFSCALE_STORE", str(store.path))
    for line in block.splitlines():
        words = [str(store.path) if word == "mfscale-store" else word for word in line.split()]
        call(*words[1:])
    assert Store("results-to-ship").is_archive


def test_an_archive_is_healthy_and_nothing_is_run_into_it(
    mfscale_here: Command, archived: Store, study_file: Path
) -> None:
    assert mfscale_here("verify", "--store", archived.path).status == 0
    refused = mfscale_here("run", study_file, "--store", archived.path)
    assert_one_message(refused, archived.path, "is an archive, only to be read")
    assert_one_message(mfscale_here("gc", "--store", archived.path), "is an archive")


def test_wrong_requests_say_what_would_be_right(
    mfscale_here: Command, store: Store, tmp_path: Path
) -> None:
    full = mfscale_here("archive", store.path, "--store", store.path)
    assert_one_message(full, store.path, "is not empty", "new or empty folder")
    head = mfscale_here("archive", tmp_path / "new", "--store", store.path, "--target", "ccc")
    assert_one_message(head, "'ccc'", "heads here: cc, dft")
    absent = mfscale_here("archive", tmp_path / "new", "--store", tmp_path / "absent")
    assert_one_message(absent, "not a results store")
    assert not (tmp_path / "new").exists()

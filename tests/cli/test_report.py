"""``report`` on a store of really trained stages, on its archive, and on bad input."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from mfscale.cli import app
from mfscale.results import Store
from tests.cli.conftest import Command, answer, assert_one_message, content

Call = Callable[..., Result]
DOCUMENT = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL)
    for line in block.splitlines()
]


@pytest.mark.parametrize("line", COMMANDS)
def test_the_options_in_the_document_exist(line: str, tmp_path: Path) -> None:
    program, *arguments = shlex.split(line)
    assert program == "mfscale"
    result = CliRunner().invoke(app, [*arguments, "--store", str(tmp_path / "none")])
    assert type(result.exception).__name__ == "StoreError"  # all that is wrong is the store


def test_a_store_becomes_a_page(call: Call, store: Store, tmp_path: Path) -> None:
    before = content(store)
    out = tmp_path / "new" / "report.html"
    shown = call("report", "--store", store.path, "--out", out)
    assert str(out) in shown.stdout
    page = out.read_text(encoding="utf-8")
    assert all(stage in page for stage in store.statuses())
    assert "Error against labels" in page
    assert "Fine-tuned against pre-trained error" in page
    assert page.count('class="claim"') == 8
    assert "are shown." in page  # all learning curves
    assert content(store) == before


def test_what_was_written_as_data(call: Call, store: Store, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    found = answer(call("report", "--store", store.path, "--out", out, "--json"))
    assert found["file"] == str(out)
    assert found["bytes"] == out.stat().st_size
    assert found["stages"] == len(store.statuses())
    assert found["laws"] > 2
    assert found["notes"] == []


def test_the_same_store_gives_the_same_bytes(store: Store, tmp_path: Path) -> None:
    pages = []
    for seed in ("1", "2"):
        out = tmp_path / f"{seed}.html"
        command = [sys.executable, "-m", "mfscale", "report", "--store", str(store.path)]
        environment = os.environ | {"PYTHONHASHSEED": seed}
        subprocess.run([*command, "--out", str(out)], check=True, env=environment)
        pages.append(out.read_bytes())
    assert pages[0] == pages[1]


def test_of_one_study(call: Call, store: Store, study_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    call("report", "--store", store.path, "--study", study_file, "--out", out)
    page = out.read_text(encoding="utf-8")
    assert f"{store.path.name}, {study_file.name}" in page
    assert "used by" in page
    assert "finetune" in page


def test_an_archive_has_no_curves_and_says_so(call: Call, store: Store, tmp_path: Path) -> None:
    call("archive", tmp_path / "archive", "--store", store.path)
    out = tmp_path / "report.html"
    call("report", "--store", tmp_path / "archive", "--out", out)
    page = out.read_text(encoding="utf-8")
    assert "an archive leaves them behind" in page
    assert page.count('class="claim"') == 8


def test_a_damaged_curve_is_told(call: Call, copied: Store, tmp_path: Path) -> None:
    next((copied.path / "curves").iterdir()).write_bytes(b"no table")
    shown = call("report", "--store", copied.path, "--out", tmp_path / "report.html")
    assert "is damaged" in shown.stderr
    assert "are shown, evenly chosen; 1 " in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_names_are_escaped(call: Call, store: Store, tmp_path: Path) -> None:
    hostile = tmp_path / "<img src=x onerror=alert(1)>"
    shutil.copytree(store.path, hostile)
    out = tmp_path / "report.html"
    call("report", "--store", hostile, "--out", out)
    page = out.read_text(encoding="utf-8")
    assert "<img" not in page.split("<script>")[0]  # all but the library and the page's script
    assert "&lt;img src=x onerror=alert(1)&gt;" in page


def test_a_law_that_is_missing_is_told(call: Call, store: Store, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    found = answer(
        call("report", "--store", store.path, "--target", "ccsd", "--out", out, "--json")
    )
    assert found["laws"] == 0
    assert any("'ccsd" in note for note in found["notes"])


def test_exponents_and_slopes_by_group(call: Call, store: Store, tmp_path: Path) -> None:
    found = answer(call("plot", "--forest", "--store", store.path, "--out", tmp_path, "--json"))
    assert [Path(path).name for path in found] == [
        "forest-error-against-labels.png",
        "forest-error-against-labels.pdf",
        "forest-fine-tuned-against-pretrained.png",
        "forest-fine-tuned-against-pretrained.pdf",
    ]
    assert all(Path(path).stat().st_size > 1000 for path in found)


def test_the_most_labels_are_held_out(call: Call, store: Store, tmp_path: Path) -> None:
    found = answer(call("plot", "--hold-out", "--store", store.path, "--out", tmp_path, "--json"))
    assert [Path(path).name for path in found] == ["held-out.png", "held-out.pdf"]


def test_a_page_with_runs_held_out(call: Call, store: Store, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    call("report", "--hold-out", "--store", store.path, "--out", out)
    assert "runs held out: their laws were not fitted to them" in out.read_text(encoding="utf-8")


def test_a_page_with_nothing_to_hold_out_is_refused(
    mfscale_here: Command, store: Store, tmp_path: Path
) -> None:
    arguments = ("report", "--hold-out", "--store", store.path, "--target", "ccsd")
    shown = mfscale_here(*arguments, "--out", tmp_path / "report.html")
    assert_one_message(shown, "--hold-out", "'ccsd")


def test_a_cost_that_is_no_number_is_refused(mfscale_here: Command, store: Store) -> None:
    arguments = ("plot", "--mixes", "--store", store.path, "--cost", "cc=much")
    assert_one_message(mfscale_here(*arguments), "--cost cc=much")


def test_bad_input(mfscale_here: Command, store: Store, tmp_path: Path) -> None:
    assert_one_message(
        mfscale_here("report", "--store", tmp_path / "none"), "is not a results store"
    )
    Store(tmp_path / "empty", create=True)
    assert_one_message(mfscale_here("report", "--store", tmp_path / "empty"), "no stage")
    (tmp_path / "file").write_text("")
    unwritable = mfscale_here(
        "report", "--store", store.path, "--out", tmp_path / "file" / "x.html"
    )
    assert_one_message(unwritable, "cannot write", "choose another file")

"""``mfscale gc``: what goes, what stays, what is said before."""

import json
from collections.abc import Callable
from pathlib import Path

from click.testing import Result
from typer.testing import CliRunner

from mfscale.cli import app
from mfscale.results import Store
from mfscale.study import Stage
from tests.cli.conftest import (
    Command,
    assert_one_message,
    content,
    model_of,
)

Call = Callable[..., Result]


def test_gc_shows_what_nothing_needs_and_asks(
    copied: Store, stages: list[Stage], mfscale_here: Command
) -> None:
    settled = copied.checkpoint_dir(stages[0].id) / "progress.safetensors"
    settled.write_bytes(b"x" * 2000)
    unknown = copied.checkpoint_dir(stages[-1].id) / "progress.safetensors"
    unknown.parent.mkdir()
    unknown.write_bytes(b"x" * 500)
    temporary = copied.path / "inbox" / ".x-0.parquet.123.tmp"
    temporary.write_bytes(b"x")
    before = content(copied)
    refused = CliRunner().invoke(app, ["gc", "--store", str(copied.path)], input="n\n")
    assert refused.exit_code == 0
    assert "3 files, 2.5 kB" in refused.stdout
    assert "a run that wants the stage starts it afresh" in refused.stdout
    assert "0 files deleted" in refused.stdout
    listed = json.loads(
        CliRunner().invoke(app, ["gc", "--store", str(copied.path), "--json"]).stdout
    )
    assert {(item["path"], item["deleted"]) for item in listed} == {
        (str(path), False) for path in (settled, unknown, temporary)
    }
    assert content(copied) == before
    with copied.in_use():
        busy = mfscale_here("gc", "--store", copied.path, "--yes")
    assert_one_message(busy, "a run is using")
    assert content(copied) == before
    agreed = CliRunner().invoke(app, ["gc", "--store", str(copied.path)], input="y\n")
    assert "3 files deleted, 2.5 kB freed" in agreed.stdout
    gone = {str(path) for path in (settled, unknown, temporary)}
    assert before.keys() - content(copied).keys() == gone
    assert not unknown.parent.exists()


def test_gc_keeps_what_a_named_study_still_wants(
    call: Call, copied: Store, stages: list[Stage], study_file: Path
) -> None:
    wanted = copied.checkpoint_dir(stages[-1].id) / "progress.safetensors"
    wanted.parent.mkdir()
    wanted.write_bytes(b"x")
    call("gc", "--store", copied.path, "--study", study_file, "--yes")
    assert wanted.exists()


def test_gc_of_leaves_says_what_is_lost_and_keeps_parents(
    call: Call, copied: Store, stages: list[Stage], mfscale_here: Command
) -> None:
    parents = {stage.parent_id for stage in stages[:-1]} - {None}
    freed = call("gc", "--store", copied.path, "--leaves", "--yes").stdout
    assert "13 files" in freed  # of 17 finished ones, four are parents
    assert "cannot be exported" in freed
    for stage in stages[:-1]:
        assert model_of(copied, stage).exists() == (stage.id in parents)
    assert "nothing wrong" in call("verify", "--store", copied.path).stdout  # it was on purpose
    refused = mfscale_here("export", stages[0].id, "--store", copied.path)
    assert_one_message(refused, "left no model")


def test_gc_deletes_nothing_while_rows_are_set_aside(copied: Store, mfscale_here: Command) -> None:
    """Their stages have no row only because the row was damaged."""
    path = copied.path / "results.parquet"
    path.write_bytes(path.read_bytes()[:1000])
    models = sorted(copied.path.rglob("model.safetensors"))
    assert mfscale_here("gc", "--store", copied.path, "--yes").status == 2
    assert_one_message(mfscale_here("gc", "--store", copied.path, "--yes"), "holds damaged rows")
    assert sorted(copied.path.rglob("model.safetensors")) == models

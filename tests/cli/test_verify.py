"""``mfscale verify``: each harm done to a store is found, and nothing is changed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import Result
from typer.testing import CliRunner

from mfscale.cli import app
from mfscale.results import Store, log_file
from mfscale.study import Stage
from tests.cli.conftest import (
    content,
    model_of,
)

Call = Callable[..., Result]


def root_and_child(stages: list[Stage]) -> tuple[Stage, Stage]:
    child = next(stage for stage in stages if stage.parent_id is not None)
    return next(stage for stage in stages if stage.id == child.parent_id), child


def harm_nothing(_: Store, __: list[Stage]) -> None:
    """The study has one stage that the store lacks."""


def harm_deleted_model(store: Store, stages: list[Stage]) -> None:
    model_of(store, stages[0]).unlink()


def harm_swapped_models(store: Store, stages: list[Stage]) -> None:
    shutil.copy(model_of(store, stages[1]), model_of(store, stages[0]))


def harm_halved_model(store: Store, stages: list[Stage]) -> None:
    path = model_of(store, stages[0])
    path.write_bytes(path.read_bytes()[:-100])


def harm_curve(store: Store, stages: list[Stage]) -> None:
    (store.path / "curves" / f"{stages[0].id}.parquet").write_bytes(b"PAR1")


def harm_rows(store: Store, stages: list[Stage]) -> None:
    row = store.row(stages[0].id)
    assert row is not None
    path = Path(store.publish({**row, "steps": 99}))
    assert path.exists()


def harm_name(store: Store, stages: list[Stage]) -> None:
    row = store.row(stages[0].id)
    assert row is not None
    path = Path(store.publish({**row, "attempt": 1}))
    path.rename(path.with_name("abc-1.parquet"))


def harm_parent(store: Store, stages: list[Stage]) -> None:
    root, _ = root_and_child(stages)
    path = store.path / "results.parquet"
    table = pq.read_table(path)
    keep = [stage != root.id for stage in table["stage_id"].to_pylist()]
    pq.write_table(table.filter(keep), path)


def harm_value(store: Store, stages: list[Stage]) -> None:
    row = store.row(stages[0].id)
    assert row is not None
    path = Path(store.publish({**row, "attempt": 1}))
    table = pq.read_table(path)
    column = table.column_names.index("stop_reason")
    pq.write_table(table.set_column(column, "stop_reason", [["boredom"]]), path)


def harm_log(store: Store, stages: list[Stage]) -> None:
    log = store.path / log_file(stages[-1].id, 0)
    log.parent.mkdir(exist_ok=True)
    log.write_text("began\n")


def harm_writer(store: Store, stages: list[Stage]) -> None:
    model_of(store, stages[0]).with_name(".model.safetensors-x1").write_bytes(b"half")


def harm_compacted(store: Store, _: list[Stage]) -> None:
    path = store.path / "results.parquet"
    path.write_bytes(path.read_bytes()[:1000])


@pytest.mark.parametrize(
    ("harm", "kinds"),
    [
        (harm_nothing, {"missing stage of the study"}),
        (harm_deleted_model, {"finished without model"}),
        (harm_swapped_models, {"model of another stage"}),
        (harm_halved_model, {"damaged model"}),
        (harm_curve, {"damaged file"}),
        (harm_rows, {"duplicate row"}),
        (harm_name, {"misnamed row"}),
        (harm_parent, {"parent without row", "checkpoints without row", "curves without row"}),
        (harm_value, {"wrong row"}),
        (harm_log, {"logs without row"}),
        (harm_writer, {"temporary file"}),
        (harm_compacted, {"damaged file"}),
    ],
)
def test_verify_finds_each_harm_and_changes_nothing(
    copied: Store,
    study_file: Path,
    stages: list[Stage],
    harm: Callable[[Store, list[Stage]], None],
    kinds: set[str],
) -> None:
    harm(copied, stages)
    before = content(copied)
    given = ["verify", str(study_file), "--store", str(copied.path), "--json"]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert kinds <= {finding["kind"] for finding in found}
    assert all(finding["problem"] and finding["remedy"] for finding in found)
    if harm is not harm_compacted:  # without which hardly a row is left
        others = {finding["kind"] for finding in found} - kinds
        assert others <= {"missing stage of the study", "errors without row"}
    assert content(copied) == before
    shown = CliRunner().invoke(app, given[:-1])
    assert (shown.exit_code, min(kinds) in shown.stdout) == (1, True)

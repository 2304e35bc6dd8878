"""Runs that W&B keeps in a folder when offline, read back record by record."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mfscale.results import Store
from mfscale.study import Stage
from mfscale.tracking import TrackingError, open_tracker, read_stage
from tests.tracking.conftest import wandb_records

pytest.importorskip("wandb", reason="the extra mfscale[wandb] is not installed")


def write(store: Store, stages: list[Stage]) -> Path:
    """Write all stages and return the folder of their runs."""
    tracker = open_tracker("wandb", out="board", project="mine")
    for stage in stages:
        if tracked := read_stage(store, stage.id, study="small", places=["finetune[1]"]):
            tracker.write(tracked)
    tracker.close()
    return Path("board/wandb")


def read_back(path: Path) -> dict[str, Any]:
    """A run with its history, config, summary and exit code, as they would be uploaded."""
    from wandb.proto.wandb_internal_pb2 import Record

    told: dict[str, Any] = {"history": [], "config": {}, "summary": {}}
    for data in wandb_records(path):
        record = Record.FromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            told["run"] = record.run
            told["config"] |= {u.key: json.loads(u.value_json) for u in record.run.config.update}
        elif kind == "history":
            told["history"].append(_items(record.history.item))
        elif kind == "summary":
            told["summary"] |= _items(record.summary.update)
        elif kind == "exit":
            told["exit"] = record.exit.exit_code
    return told


def _items(items: Any) -> dict[str, Any]:  # noqa: ANN401 - of W&B's own making
    return {item.key or item.nested_key[0]: json.loads(item.value_json) for item in items}


def test_runs_hold_settings_curves_errors_and_ends(
    store: Store, stages: list[Stage], capfd: pytest.CaptureFixture[str]
) -> None:
    folder = write(store, stages)
    files = {stage.id: [*folder.glob(f"offline-run-*/run-{stage.id}.wandb")] for stage in stages}
    assert [len(files[stage.id]) for stage in stages] == [1, 1, 1, 1, 0]
    told = {stage.id: read_back(files[stage.id][0]) for stage in stages[:4]}
    assert [told[stage.id]["exit"] for stage in stages[:4]] == [0, 0, 1, 1]
    run, row = told[stages[1].id], store.frame().set_index("stage_id").loc[stages[1].id]
    assert run["run"].project == "mine"
    assert run["run"].display_name == "dft:b:8+forces > cc:a:8, seed 0"
    assert run["run"].run_group == "finetune"
    assert set(run["run"].tags) == {"small", "finetune", "finished"}
    assert run["config"]["parent_id"] == stages[0].id
    assert run["config"]["hp_max_steps"] == 20
    error = "cc_t_energy_mae_mev_per_atom"
    assert run["summary"][f"final/{error}"] == pytest.approx(row[error])
    curve = store.curve(stages[1].id).to_pylist()
    assert [point["_step"] for point in run["history"]] == [point["step"] for point in curve]
    losses = [point["curve/validation_loss"] for point in run["history"]]
    assert losses == pytest.approx([point["validation_loss"] for point in curve])
    assert told[stages[3].id]["run"].notes == "its worker died 3 times"

    again = write(store, stages)
    assert {*again.glob("offline-run-*/run-*.wandb")} == {
        file for found in files.values() for file in found
    }
    finished = read_stage(store, stages[1].id)
    assert finished is not None
    retried = replace(finished, stage_id=stages[3].id)
    tracker = open_tracker("wandb", out="board", project="mine")
    assert tracker.write(retried)
    assert not tracker.write(retried)
    (replaced,) = folder.glob(f"offline-run-*/run-{stages[3].id}.wandb")
    assert read_back(replaced)["exit"] == 0
    assert open_tracker("wandb", out="board", project="other").write(retried)
    assert replaced.exists()
    assert capfd.readouterr() == ("", "")


def test_of_the_machine_that_copies_it_is_told_the_name_alone(
    store: Store, stages: list[Stage]
) -> None:
    folder = write(store, stages[:1])
    (path,) = folder.glob("offline-run-*/run-*.wandb")
    run = read_back(path)["run"]
    assert not run.git.remote_url
    assert str(Path.cwd()).encode() not in path.read_bytes()
    assert not [*(path.parent / "files").iterdir()]


def test_without_login_one_message_names_both_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    with pytest.raises(TrackingError, match="run `wandb login`, or set WANDB_MODE=offline"):
        open_tracker("wandb")

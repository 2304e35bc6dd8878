"""Runs in MLflow's own SQLite store, read back with its client."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mfscale.results import Store
from mfscale.study import Stage
from mfscale.tracking import TrackingError, open_tracker, read_stage

if TYPE_CHECKING:
    from mlflow.entities import Run

pytest.importorskip("mlflow", reason="the extra mfscale[mlflow] is not installed")


def write(store: Store, stages: list[Stage], out: Path) -> list[bool]:
    tracker = open_tracker("mlflow", out=str(out), project="mine")
    return [
        tracker.write(tracked)
        for stage in stages
        if (tracked := read_stage(store, stage.id, study="small", places=["finetune[1]"]))
    ]


def runs(out: Path) -> dict[str, "Run"]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{out / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("mine")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id])
    assert len({run.data.tags["mfscale.stage_id"] for run in found}) == len(found)
    return {run.data.tags["mfscale.stage_id"]: run for run in found}


def test_runs_hold_settings_curves_errors_and_ends(
    store: Store, stages: list[Stage], tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    assert write(store, stages, tmp_path) == [True] * 4
    found = runs(tmp_path)
    statuses = [found[stage.id].info.status for stage in stages[:4]]
    assert statuses == ["FINISHED", "FINISHED", "FAILED", "FAILED"]
    run, row = found[stages[1].id], store.frame().set_index("stage_id").loc[stages[1].id]
    assert run.info.run_name == "dft:b:8+forces > cc:a:8, seed 0"
    assert run.data.params["parent_id"] == stages[0].id
    assert run.data.params["hp_learning_rate"] == str(row["hp_learning_rate"])
    assert run.data.tags["mfscale.study"] == "small"
    assert run.data.tags["mfscale.strategies"] == "finetune"
    errors = run.data.metrics["final/cc_t_energy_mae_mev_per_atom"]
    assert errors == row["cc_t_energy_mae_mev_per_atom"]
    assert run.info.end_time - run.info.start_time == pytest.approx(
        1000 * row["wall_time_s"], abs=1
    )
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    history = client.get_metric_history(run.info.run_id, "curve/validation_loss")
    curve = store.curve(stages[1].id).to_pylist()
    told = sorted((metric.step, metric.value) for metric in history)
    assert told == [(point["step"], point["validation_loss"]) for point in curve]
    assert found[stages[2].id].data.tags["mfscale.status"] == "diverged"
    assert found[stages[3].id].data.tags["mfscale.reason"] == "its worker died 3 times"

    assert write(store, stages, tmp_path) == [False] * 4
    assert {run.info.run_id for run in runs(tmp_path).values()} == {
        run.info.run_id for run in found.values()
    }
    finished = read_stage(store, stages[1].id)
    assert finished is not None
    tracker = open_tracker("mlflow", out=str(tmp_path), project="mine")
    assert tracker.write(replace(finished, stage_id=stages[3].id))  # the failed one, retried
    assert runs(tmp_path)[stages[3].id].info.status == "FINISHED"


def test_a_server_that_does_not_answer_is_told_without_the_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(TrackingError, match="mlflow: ") as told:
        open_tracker("mlflow", out="http://me:secret@127.0.0.1:9")
    assert "secret" not in str(told.value)

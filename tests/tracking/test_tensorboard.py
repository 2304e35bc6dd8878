"""Event files, read back with TensorBoard's own reader."""

from pathlib import Path
from typing import Any

import pytest

from mfscale.results import Store
from mfscale.study import Stage
from mfscale.tracking import TrackingError, open_tracker, read_stage

pytest.importorskip("tensorboard", reason="the extra mfscale[tensorboard] is not installed")


def read_back(folder: Path) -> Any:  # noqa: ANN401 - TensorBoard has no types
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    return accumulator


def write(store: Store, stages: list[Stage], out: Path) -> list[bool]:
    tracker = open_tracker("tensorboard", out=str(out))
    return [
        tracker.write(tracked)
        for stage in stages
        if (tracked := read_stage(store, stage.id, study="small", places=["finetune[1]"]))
    ]


def test_the_curve_and_the_errors_are_those_of_the_store(
    store: Store, stages: list[Stage], tmp_path: Path
) -> None:
    write(store, stages, tmp_path / "board")
    (folder,) = (tmp_path / "board").glob(f"*-{stages[1].id}")
    assert folder.name == f"dft-b-8+forces-cc-a-8-seed-0-{stages[1].id}"
    events = read_back(folder)
    curve = store.curve(stages[1].id).to_pylist()
    told = events.Scalars("curve/validation_energy_mae_mev")
    assert [event.step for event in told] == [point["step"] for point in curve]
    expected = [point["validation_energy_mae_mev"] for point in curve]
    assert [event.value for event in told] == pytest.approx(expected, rel=1e-6)
    row = store.frame().set_index("stage_id").loc[stages[1].id]
    (final,) = events.Scalars("final/cc_t_energy_mae_mev_per_atom")
    assert final.step == row["steps"]
    assert final.value == pytest.approx(row["cc_t_energy_mae_mev_per_atom"], rel=1e-6)


def test_settings_and_ends_are_hyperparameters(
    store: Store, stages: list[Stage], tmp_path: Path
) -> None:
    from tensorboard.plugins.hparams import api_pb2, metadata

    write(store, stages, tmp_path / "board")
    told, statuses = {}, {}
    for stage in stages[:4]:
        (folder,) = (tmp_path / "board").glob(f"*{stage.id}")
        events = read_back(folder)
        start, end = (
            events.summary_metadata[tag].plugin_data.content
            for tag in (metadata.SESSION_START_INFO_TAG, metadata.SESSION_END_INFO_TAG)
        )
        told[stage.id] = metadata.parse_session_start_info_plugin_data(start).hparams
        statuses[stage.id] = metadata.parse_session_end_info_plugin_data(end).status
    of_child = told[stages[1].id]
    assert of_child["parent_id"].string_value == stages[0].id
    assert of_child["hp_max_steps"].number_value == 20
    assert of_child["architecture"].string_value == "nequip"
    assert of_child["cc_forces"].bool_value is False
    assert told[stages[3].id]["reason"].string_value == "its worker died 3 times"
    well, badly = api_pb2.Status.STATUS_SUCCESS, api_pb2.Status.STATUS_FAILURE
    assert [statuses[stage.id] for stage in stages[:4]] == [well, well, badly, badly]


def test_again_it_changes_nothing_and_a_stage_that_changed_is_replaced(
    store: Store, stages: list[Stage], tmp_path: Path
) -> None:
    out = tmp_path / "board"
    assert write(store, stages, out) == [True] * 4
    files = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert len(files) == 4
    assert write(store, stages, out) == [False] * 4
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == files
    stage = read_stage(store, stages[1].id)
    assert stage is not None
    assert open_tracker("tensorboard", out=str(out)).write(stage)  # of no study now
    assert len([path for path in out.rglob("*") if path.is_file()]) == 4


def test_a_failed_stage_that_finishes_leaves_its_first_folder(
    store: Store, stages: list[Stage], tmp_path: Path
) -> None:
    from dataclasses import replace

    finished = read_stage(store, stages[1].id)
    assert finished is not None
    failed = replace(finished, name=finished.stage_id, status="failed", curve=[], metrics={})
    tracker = open_tracker("tensorboard", out=str(tmp_path / "board"))
    assert tracker.write(failed)
    assert open_tracker("tensorboard", out=str(tmp_path / "board")).write(finished)
    (folder,) = (tmp_path / "board").iterdir()
    assert folder.name.startswith("dft-b-8+forces-cc-a-8")


def test_it_has_no_projects(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match="no projects: name a folder with --out"):
        open_tracker("tensorboard", out=str(tmp_path), project="mine")

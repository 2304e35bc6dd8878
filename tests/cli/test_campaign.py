"""A campaign kept in order: failures told by cause, lost models trained again."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from click.testing import Result
from safetensors.numpy import load_file

from mfscale.cli.study import expand_file
from mfscale.data import open_dataset
from mfscale.results import Store
from mfscale.study import Stage
from tests.cli.conftest import (
    STUDY,
    Command,
    answer,
    assert_one_message,
    content,
    model_of,
    run_one,
)

Call = Callable[..., Result]


def test_a_store_in_order_has_nothing_to_find_nor_to_delete(
    call: Call, copied: Store, study_file: Path
) -> None:
    before = content(copied)
    assert "17 stages, nothing wrong" in call("verify", "--store", copied.path).stdout
    assert "nothing to delete" in call("gc", "--store", copied.path).stdout
    assert "failed or diverged" in call("triage", "--store", copied.path).stdout
    retried = call("retry", study_file, "--failed", "--store", copied.path)
    assert "no stage of small failed" in retried.stdout
    assert content(copied) == before


def test_a_stage_whose_parents_model_is_gone_fails_with_what_to_do(
    call: Call, copied: Store, stages: list[Stage], study_file: Path
) -> None:
    """As it does when the file goes between the planning of a run and its turn."""
    last = stages[-1]
    parent = next(stage for stage in stages if stage.id == last.parent_id)
    model_of(copied, parent).unlink()
    assert run_one(last, copied)["status"] == "failed"
    row = copied.row(last.id)
    assert row is not None
    assert "model of the parent cannot be read" in str(row["reason"])
    assert "run the study again" in str(row["reason"])
    (cause,) = answer(call("triage", study_file, "--store", copied.path, "--json"))
    assert (cause["stages"], cause["blocked"]) == ([last.id], [])
    assert parent.id not in cause["cause"]
    log = Path(cause["log_file"]).read_text()
    assert "Traceback" in log
    assert last.id in log
    shown = call("triage", "--store", copied.path).stdout
    assert str(row["reason"]) in shown
    assert cause["log_file"] in shown


def test_failures_of_one_cause_are_one_line_with_what_they_block(
    call: Call, tmp_path: Path
) -> None:
    """Labels that changed between planning and running: a real failure of every root."""
    shutil.copytree(open_dataset("chno3").path, tmp_path / "mine")
    study = tmp_path / "study.yaml"
    study.write_text(STUDY.replace("chno3", str(tmp_path / "mine")))
    planned = expand_file(study, tmp_path).stages.values()
    store = Store(tmp_path / "store", create=True)
    roots = [stage for stage in planned if stage.parent_id is None]
    for stage in roots:
        changed = {n: h.model_copy(update={"digest": "00"}) for n, h in stage.heads.items()}
        assert run_one(stage.model_copy(update={"heads": changed}), store)["status"] == "failed"
    causes = answer(call("triage", study, "--store", store.path, "--json"))
    assert [(len(c["stages"]), len(c["blocked"])) for c in causes] == [(4, 8), (6, 0)]
    assert causes[0]["cause"] == (
        "TrainingError: dataset '‹path›' here holds other labels for (dft; b; ‹…›) than where the "
        "study was planned; bring the same dataset to every node"
    )
    of_store = answer(call("triage", "--store", store.path, "--json"))
    assert [len(c["blocked"]) for c in of_store] == [0, 0]  # no row of what never had its turn
    why = call("plan", study, "--store", store.path, "--why").stdout
    assert "failed before: TrainingError: dataset" in why


def test_a_finished_stage_whose_model_is_gone_runs_again_once_it_is_needed(
    call: Call, copied: Store, stages: list[Stage], study_file: Path
) -> None:
    last, unneeded = stages[-1], stages[0]
    parent = next(stage for stage in stages if stage.id == last.parent_id)
    was = copied.row(parent.id)
    assert was is not None
    weights = load_file(model_of(copied, parent))
    for stage in (parent, unneeded):
        model_of(copied, stage).unlink()
    plan = answer(call("plan", study_file, "--store", copied.path, "--json", "--why"))
    assert (plan["cached"], plan["to_run"]) == (16, 2)
    assert [w["stage_id"] for w in plan["why"]] == [parent.id, last.id]
    shown = call("plan", study_file, "--store", copied.path).stdout
    assert (
        f"{parent.id[:8]} is cached, but its model is gone: it will run again because 1 stage needs"
        in shown
    )
    assert run_one(unneeded, copied)["status"] == "finished"  # told so: it is not trained again
    assert not model_of(copied, unneeded).exists()
    assert run_one(parent, copied, again=True)["status"] == "finished"
    row = copied.row(parent.id)
    assert row is not None
    assert row["attempt"] == 1
    assert row["evaluations"] == was["evaluations"]
    assert "trained again, for the model of attempt 0 was gone" in str(row["warnings"])
    for name, tensor in load_file(model_of(copied, parent)).items():
        np.testing.assert_array_equal(tensor, weights[name])
    assert run_one(last, copied)["status"] == "finished"
    left = answer(call("plan", study_file, "--store", copied.path, "--json"))
    assert left["to_run"] == 0


def test_commands_on_a_store_that_is_not_there(
    mfscale_here: Command, study_file: Path, tmp_path: Path
) -> None:
    for command in (["verify"], ["triage"], ["gc"], ["retry", study_file], ["diff", "a", "b"]):
        answered = mfscale_here(*command, "--store", tmp_path / "absent")
        assert_one_message(answered, "is not a results store")
    assert not (tmp_path / "absent").exists()
    unknown = mfscale_here("adopt", study_file, "zz", "--from", "x", "--store", tmp_path / "absent")
    assert_one_message(unknown, "0 stages of small", "'zz'")

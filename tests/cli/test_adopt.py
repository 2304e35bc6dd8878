"""``mfscale adopt``: models of elsewhere as finished stages, if they fit."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from mfscale.cli import app
from mfscale.cli.study import expand_file
from mfscale.results import Store
from mfscale.study import Stage
from tests.cli.conftest import (
    STUDY,
    Command,
    answer,
    assert_one_message,
    model_of,
    run_one,
)

Call = Callable[..., Result]


def test_an_adopted_model_is_a_finished_stage_with_the_same_errors(
    call: Call, store: Store, stages: list[Stage], study_file: Path, tmp_path: Path
) -> None:
    child = stages[-1]
    parent = next(stage for stage in stages if stage.id == child.parent_id)
    exported, here = tmp_path / "exported.safetensors", Store(tmp_path / "new", create=True)
    call("export", parent.id, "--store", store.path, "--out", exported)
    told = call("adopt", study_file, parent.id[:9], "--from", exported, "--store", here.path)
    assert f"stage {parent.id}" in told.stdout
    row, was = here.row(parent.id), store.row(parent.id)
    assert row is not None
    assert was is not None
    assert (row["status"], row["stop_reason"], row["attempt"]) == ("finished", "adopted", 0)
    assert row["steps"] is row["train_time_s"] is row["converged"] is None
    assert f"adopted from {exported}, the model of stage {parent.id}" in str(row["warnings"])
    same = ("offsets", "scales", "n_parameters", "heads", "mean_neighbours")
    for field in (*same, "total_samples_seen", "total_train_time_s"):
        assert row[field] == was[field], field

    def errors(of: dict[str, object], moment: str) -> dict[tuple[str, ...], float]:
        return {
            (e["head"], e["method"], e["subset"], e["metric"], e["unit"]): e["value"]
            for e in of["evaluations"]  # type: ignore[attr-defined]
            if e["moment"] == moment
        }

    assert errors(row, "end") == errors(row, "start") == pytest.approx(errors(was, "end"))
    assert errors(row, "baseline") == errors(was, "baseline")
    assert here.errors(parent.id).num_rows == store.errors(parent.id).num_rows
    assert "nothing wrong" in call("verify", "--store", here.path).stdout
    assert answer(call("plan", study_file, "--store", here.path, "--json"))["cached"] == 1
    assert run_one(child, here)["status"] == "finished"
    twice = CliRunner().invoke(
        app,
        ["adopt", str(study_file), parent.id, "--from", str(exported), "--store", str(here.path)],
    )
    assert "nothing was adopted" in str(twice.exception)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("seed: [0, 1]", "model: {cutoff_a: 4.0}"), ["cutoff_a is 5.0, the stage has 4.0"]),
        (("seed: [0, 1]", "model: {size: small}"), ["num_layers is 2, the stage has 3"]),
        (("seed: [0, 1]", "model: {dtype: float64}"), ["dtype is float32"]),
        (("heads: {cc: {", "heads: {mine: {method: cc, "), ["heads is cc, the stage has mine"]),
        (("{cc: {subset: a", "{cc: {method: dft, subset: a"), ["method of cc is cc", "has dft"]),
    ],
)
def test_a_model_that_does_not_fit_is_refused(
    store: Store,
    stages: list[Stage],
    tmp_path: Path,
    mfscale_here: Command,
    change: tuple[str, str],
    words: list[str],
) -> None:
    study = tmp_path / "other.yaml"
    study.write_text(STUDY.replace(*change))
    wanted = next(iter(expand_file(study, tmp_path).stages))
    given = ["adopt", study, wanted, "--from", model_of(store, stages[0])]
    answered = mfscale_here(*given, "--store", tmp_path / "new")
    assert_one_message(answered, model_of(store, stages[0]), wanted, *words)
    assert Store(tmp_path / "new").statuses() == {}

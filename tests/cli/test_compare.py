"""``mfscale diff`` and ``plan --why``: stages and studies side by side."""

from collections.abc import Callable
from pathlib import Path

from click.testing import Result

from mfscale.results import Store
from mfscale.study import Stage
from tests.cli.conftest import (
    STUDY,
    Command,
    answer,
    assert_one_message,
    run_one,
)

Call = Callable[..., Result]


def test_plan_says_what_parts_a_stage_from_the_nearest_finished_one(
    call: Call, copied: Store, tmp_path: Path
) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(
        "dataset: chno3\ntraining: {max_steps: 10, validate_every: 10, batch_size: 8}\n"
        "strategies:\n  direct: [{heads: {cc: {subset: a, size: [24, 32], validation: 8}},"
        " training: {learning_rate: [0.01, 0.02]}}]\n"
    )
    plan = answer(call("plan", study, "--store", copied.path, "--why", "--json"))
    another, both, rate = (w["why"] for w in plan["why"])
    assert another[0] in {f"size of cc: 24, not {size}" for size in (8, 16, 32)}
    assert both == [another[0], "learning_rate: 0.02, not 0.01"]
    assert rate == ["learning_rate: 0.02, not 0.01"]
    rows = {row["stage_id"]: row for row in copied.table().to_pylist()}
    assert {len(rows[w["nearest"]]["lineage"]) for w in plan["why"]} == {1}  # of the same step
    assert (
        "learning_rate: 0.02, not 0.01"
        in call("plan", study, "--store", copied.path, "--why").stdout
    )
    none = answer(call("plan", study, "--store", tmp_path / "none", "--why", "--json"))
    assert {w["why"][0] for w in none["why"]} == {"no stage of step 0 has finished"}


def test_diff_of_two_stages(
    call: Call, copied: Store, stages: list[Stage], mfscale_here: Command
) -> None:
    first, second = stages[0], stages[1]
    found = answer(call("diff", first.id[:9], second.id, "--store", copied.path, "--json"))
    assert found["differences"] == [{"field": "size of cc", "mine": 8, "theirs": 16}]
    shown = call("diff", first.id, second.id, "--store", copied.path).stdout
    assert shown.split()[:2] == [first.id, second.id]
    assert "one stage" in call("diff", first.id[:9], first.id, "--store", copied.path).stdout
    run_one(
        stages[-1].model_copy(update={"dataset": "nowhere"}), copied
    )  # a failed stage's row does not say what it was
    refused = mfscale_here("diff", first.id, stages[-1].id, "--store", copied.path)
    assert_one_message(refused, stages[-1].id, "does not say what the stage was")


def test_diff_of_two_studies(
    call: Call, study_file: Path, tmp_path: Path, mfscale_here: Command
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(STUDY.replace("[8, 16, 32]", "[8, 16, 64]"))
    found = answer(call("diff", study_file, other, "--json"))
    assert (len(found["shared"]), len(found["only_a"]), len(found["only_b"])) == (16, 2, 2)
    assert [row["differences"] for row in found["nearest"]] == [
        ["size of cc: 32, not 64"],
        ["size of cc: 32, not 64"],
        ["size of cc: 64, not 32"],
        ["size of cc: 64, not 32"],
    ]
    assert "16 stages are shared" in call("diff", study_file, other).stdout
    assert_one_message(mfscale_here("diff", study_file, "abc"), "'abc' is not")

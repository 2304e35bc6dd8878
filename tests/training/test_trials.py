"""A tuning trial: judged on validation labels alone, given up when told to, and leaves no model."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mfscale.data import Dataset
from mfscale.study import Stage
from mfscale.study.tuning import with_values
from mfscale.training import POTENTIAL, StageResult, run_stage

Plan = Callable[..., list[Stage]]
Run = Callable[..., StageResult]

TWO = {
    "heads": {
        "cc": {"subset": "a", "size": 16, "validation": 8},
        "dft": {"subset": "b", "size": 16, "validation": 8},
    }
}
STEPS = {"max_steps": 20, "validate_every": 5}


@pytest.fixture
def trial(few: Dataset, plan: Plan) -> Stage:
    (stage,) = plan(few, TWO, training=STEPS)
    return with_values(stage, {"learning_rate": 0.02}, purpose="tune")


def test_it_sees_no_test_structure(trial: Stage, run: Run, tmp_path: Path) -> None:
    result = run(trial)
    assert result.row["purpose"] == "tune"
    assert (result.row["status"], result.row["stop_reason"]) == ("finished", "cap")
    assert {e["subset"] for e in result.row["evaluations"]} == {"a/validation", "b/validation"}
    assert {e["moment"] for e in result.row["evaluations"]} == {"baseline", "start", "end"}
    assert {(e["head"], e["method"]) for e in result.row["evaluations"]} == {
        ("cc", "cc"),
        ("dft", "dft"),
    }
    assert result.errors == []
    assert not list(tmp_path.rglob(POTENTIAL))


def test_it_trains_as_the_stage_would(few: Dataset, plan: Plan, trial: Stage, run: Run) -> None:
    """The same weights at every step: the same learning curve, and the same errors at the end."""
    (stage,) = plan(few, TWO, training={**STEPS, "learning_rate": 0.02})
    mine, theirs = run(trial), run(stage)
    losses = [[point.validation_loss for point in r.curve] for r in (mine, theirs)]
    assert losses[0] == losses[1]
    ends = [
        {
            (e["head"], e["metric"], e["unit"]): e["value"]
            for e in r.row["evaluations"]
            if e["moment"] == "end" and e["subset"].endswith("/validation")
        }
        for r in (mine, theirs)
    ]
    assert ends[0] == ends[1]


def test_without_hope_it_ends_at_the_next_validation(trial: Stage, tmp_path: Path) -> None:
    asked: list[tuple[int, float]] = []

    def hopeless(step: int, error_mev: float) -> bool:
        asked.append((step, error_mev))
        return step >= 10

    result = run_stage(
        trial, checkpoint_dir=lambda stage_id: tmp_path / stage_id, hopeless=hopeless
    )
    row = result.row
    assert (row["status"], row["stop_reason"], row["converged"]) == ("finished", "pruned", False)
    assert row["steps"] == 10
    told = [(point.step, point.validation_energy_mae_mev) for point in result.curve[1:]]
    assert asked == told == [(5, told[0][1]), (10, told[1][1])]
    assert not list(tmp_path.rglob(POTENTIAL))


def test_at_the_cap_nobody_asks_whether_to_go_on(trial: Stage, tmp_path: Path) -> None:
    asked: list[int] = []

    def hopeless(step: int, _error_mev: float) -> bool:
        asked.append(step)
        return step >= 20

    row = run_stage(
        trial, checkpoint_dir=lambda stage_id: tmp_path / stage_id, hopeless=hopeless
    ).row
    assert (row["stop_reason"], asked) == ("cap", [5, 10, 15])


def test_a_diverging_trial_is_a_row_without_errors_at_the_end(
    few: Dataset, plan: Plan, run: Run
) -> None:
    (stage,) = plan(few, TWO, training={**STEPS, "warmup_steps": 0})
    row = run(with_values(stage, {"learning_rate": 1e30}, purpose="tune")).row
    assert (row["status"], row["purpose"]) == ("diverged", "tune")
    assert {e["moment"] for e in row["evaluations"]} == {"baseline", "start"}

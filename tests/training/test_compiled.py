"""Compiled training ends where eager training ends; code is made once and is nobody else's."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from mfscale.data import CACHE_VARIABLE, Dataset
from mfscale.study import Stage
from mfscale.training import StageResult, run_stage

Plan = Callable[..., list[Stage]]


def ends(result: StageResult) -> list[float]:
    return [e["value"] for e in result.row["evaluations"] if e["moment"] == "end"]


def stages(plan: Plan, few: Dataset) -> list[Stage]:
    heads = {"dft": {"subset": "b", "size": 40, "validation": 8}}
    return plan(few, {"heads": heads}, seed=[0, 1])


@pytest.mark.slow
def test_compiled_training_ends_where_eager_training_ends(
    plan: Plan,
    few: Dataset,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    caplog.set_level(logging.INFO, "mfscale")
    for seed, stage in enumerate(stages(plan, few)):
        eager = run_stage(stage, checkpoint_dir=lambda s: tmp_path / "eager" / s)
        code = run_stage(stage, checkpoint_dir=lambda s: tmp_path / "code" / s, compiled=True)
        assert (eager.row["compile_mode"], code.row["compile_mode"]) == ("eager", "inductor")
        assert ends(code) == pytest.approx(ends(eager), rel=1e-3)
        assert [p.train_loss for p in code.curve][1:] == pytest.approx(
            [p.train_loss for p in eager.curve][1:], rel=1e-4
        )
        made = [record for record in caplog.records if "compiled in" in record.message]
        assert len(made) == 1, f"seed {seed}"
    folder = tmp_path / "cache" / "compiled"
    assert folder.stat().st_mode & 0o077 == 0
    assert len(list(folder.glob("*.made"))) == 1


def test_where_others_could_write_code_nothing_is_compiled(
    plan: Plan,
    few: Dataset,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    open_to_all = tmp_path / "cache" / "compiled"
    open_to_all.mkdir(parents=True)
    open_to_all.chmod(0o777)
    heads = {"dft": {"subset": "b", "size": 30, "validation": 8, "forces": False}}
    (stage,) = plan(few, {"heads": heads}, training={"max_steps": 2, "validate_every": 1})
    row = run_stage(stage, checkpoint_dir=lambda s: tmp_path / s, compiled=True).row
    assert row["compile_mode"] == "eager"
    assert "must be this user's alone" in caplog.text
    assert list(open_to_all.iterdir()) == []

"""Models and progress in the wrong place or damaged never become a row of another stage."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfscale.data import Dataset
from mfscale.study import Stage
from mfscale.training import POTENTIAL, StageResult, TrainingError
from mfscale.training.checkpoint import load_progress

DFT = {"heads": {"dft": {"subset": "b", "size": 60, "validation": 16}}}
CC = {"heads": {"cc": {"subset": "a", "size": 16, "validation": 8}}}
Plan = Callable[..., list[Stage]]
Run = Callable[..., StageResult]


def test_the_model_of_another_stage_is_no_parent(
    few: Dataset, plan: Plan, run: Run, tmp_path: Path
) -> None:
    parent, child = plan(few, DFT, CC)
    (other,) = plan(few, DFT, seed=1)
    run(parent)
    run(other)
    models = [tmp_path / "checkpoints" / stage.id / POTENTIAL for stage in (parent, other)]
    shutil.copyfile(models[1], models[0])
    with pytest.raises(TrainingError, match=f"{models[0]}: is the model of stage {other.id}.*run"):
        run(child)


def test_a_damaged_parent_is_no_parent(few: Dataset, plan: Plan, run: Run, tmp_path: Path) -> None:
    parent, child = plan(few, DFT, CC)
    run(parent)
    path = tmp_path / "checkpoints" / parent.id / POTENTIAL
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(TrainingError, match=f"{path}: damaged.*not what was written.*delete"):
        run(child)


def test_progress_is_whole_or_none(few: Dataset, plan: Plan, run: Run, tmp_path: Path) -> None:
    (stage,) = plan(few, CC)
    run(stage, every_s=0.0)
    path = tmp_path / "checkpoints" / stage.id / "progress.safetensors"
    assert load_progress(path, stage.id) is not None
    assert load_progress(path, "another") is None
    whole = path.read_bytes()

    weights = 8 + int.from_bytes(whole[:8], "little")

    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(st.integers(weights, len(whole) - 1), st.integers(0, 7))
    def check(place: int, bit: int) -> None:
        content = bytearray(whole)
        content[place] ^= 1 << bit
        path.write_bytes(content)
        assert load_progress(path, stage.id) is None

    check()

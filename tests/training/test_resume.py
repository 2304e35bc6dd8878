"""A killed run goes on to the very result of an undisturbed one."""

import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from mfscale.data import Dataset
from mfscale.study import Stage
from mfscale.training import POTENTIAL, Interrupted, StageResult, run_stage
from mfscale.training.checkpoint import PROGRESS, discard_progress, load_progress

DFT = {"heads": {"dft": {"subset": "b", "size": 16, "validation": 8}}}


@pytest.mark.slow
def test_a_killed_run_ends_as_an_undisturbed_one(
    few: Dataset,
    plan: Callable[..., list[Stage]],
    run: Callable[..., StageResult],
    start_alone: Callable[..., Popen[bytes]],
    reproducible: Callable[[StageResult], dict[str, Any]],
    tmp_path: Path,
) -> None:
    (stage,) = plan(few, DFT, training={"max_steps": 60, "validate_every": 5, "patience": 100})
    undisturbed = run(stage, folder="undisturbed")

    folder = tmp_path / "killed"
    process = start_alone(stage, folder, every_s=0.0)
    path, progress = folder / stage.id / PROGRESS, None
    while progress is None or progress.step < 5:  # which the first validation comes after
        assert process.poll() is None, "it ended before it left any progress"
        time.sleep(0.002)
        progress = load_progress(path, stage.id)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not (folder / stage.id / POTENTIAL).exists()
    progress = load_progress(path, stage.id)
    assert progress is not None
    assert 5 <= progress.step < 60
    shutil.copytree(folder, tmp_path / "damaged")

    resumed = run(stage, folder="killed")
    assert resumed.curve[: len(progress.curve)] == progress.curve, "steps done were done again"

    broken = tmp_path / "damaged" / stage.id / PROGRESS
    broken.write_bytes(broken.read_bytes()[:1000])
    restarted = run(stage, folder="damaged")
    assert restarted.curve[1] != progress.curve[1], "a damaged file was believed"

    weights = (tmp_path / "undisturbed" / stage.id / POTENTIAL).read_bytes()
    for result, name in ((resumed, "killed"), (restarted, "damaged")):
        assert reproducible(result) == reproducible(undisturbed)
        left = tmp_path / name / stage.id
        assert (left / PROGRESS).exists(), (
            "a crash before the row is in the store costs no training"
        )
        discard_progress(left)
        assert [path.name for path in left.glob("*.safetensors")] == [POTENTIAL]
        assert tensors(left / POTENTIAL) == tensors_of(weights)


@pytest.mark.parametrize("steps", [0, 7, 10])
def test_a_stage_that_is_asked_to_stop_does_so_at_once_and_ends_as_an_undisturbed_one(
    steps: int,
    few: Dataset,
    plan: Callable[..., list[Stage]],
    run: Callable[..., StageResult],
    reproducible: Callable[[StageResult], dict[str, Any]],
    tmp_path: Path,
) -> None:
    """Between two validations too."""
    (stage,) = plan(few, DFT)
    folder = tmp_path / "stopped"
    asked = iter(range(steps + 1))
    with pytest.raises(Interrupted, match=f"step {steps},"):
        run_stage(
            stage, checkpoint_dir=lambda s: folder / s, interrupted=lambda: next(asked) == steps
        )
    progress = load_progress(folder / stage.id / PROGRESS, stage.id)
    assert progress is not None
    assert progress.step == steps
    assert reproducible(run(stage, folder="stopped")) == reproducible(run(stage, folder="quiet"))
    models = [(tmp_path / name / stage.id / POTENTIAL) for name in ("stopped", "quiet")]
    assert tensors(models[0]) == tensors(models[1])


def tensors(path: Path) -> bytes:
    return tensors_of(path.read_bytes())


def tensors_of(content: bytes) -> bytes:
    """The data of a safetensors file, after its header (which holds the training time)."""
    return content[8 + int.from_bytes(content[:8], "little") :]

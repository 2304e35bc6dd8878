"""A process that keeps its networks gives each stage what a fresh process would."""

import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from mfscale.data import Dataset
from mfscale.study import Stage
from mfscale.training import StageResult

CC = {"heads": {"cc": {"subset": "a", "size": 16, "validation": 8}}}


@pytest.mark.slow
def test_stages_in_one_process_do_not_know_of_each_other(
    few: Dataset,
    plan: Callable[..., list[Stage]],
    run: Callable[..., StageResult],
    start_alone: Callable[..., Popen[bytes]],
    result_alone: Callable[[Path], dict[str, Any]],
    reproducible: Callable[[StageResult], dict[str, Any]],
    tmp_path: Path,
) -> None:
    """A root and a child with a frozen backbone use the same kept network, one head cc."""
    (root,) = plan(few, CC, seed=1)
    parent, child = plan(few, CC, {**CC, "trainable": "readout"})
    run(parent, folder="parent")
    folders = {stage.id: tmp_path / f"alone-{stage.id}" for stage in (root, child)}
    processes = []
    for stage in (root, child):
        shutil.copytree(tmp_path / "parent", folders[stage.id])
        processes.append(start_alone(stage, folders[stage.id]))
    assert [process.wait() for process in processes] == [0, 0]
    for order in ((root, child), (child, root)):
        folder = f"from-{order[0].id}"
        shutil.copytree(tmp_path / "parent", tmp_path / folder)
        for stage in order:
            assert reproducible(run(stage, folder=folder)) == result_alone(folders[stage.id])

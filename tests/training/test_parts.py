"""Parts of a model and an embedded fidelity through whole stages, for every architecture."""

import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from mfscale.data import Dataset
from mfscale.models import LADDER
from mfscale.study import Stage
from mfscale.training import POTENTIAL, StageResult, load_potential
from mfscale.training.checkpoint import load_progress
from mfscale.training.header import PROGRESS

Plan = Callable[..., list[Stage]]
Run = Callable[..., StageResult]

CC = {"heads": {"cc": {"subset": "a", "size": 16, "validation": 8}}}
DFT = {"heads": {"dft": {"subset": "b", "size": 16, "validation": 8}}}
BOTH = {"heads": {**CC["heads"], **DFT["heads"]}}
TINY = {"max_steps": 6, "validate_every": 3, "batch_size": 4}


def tensors(folder: Path, stage: Stage) -> dict[str, np.ndarray]:
    """All weights of a stage's model, without the heads' names."""
    return load_file(folder / "checkpoints" / stage.id / POTENTIAL)


def parameters(folder: Path, stage: Stage) -> dict[str, int]:
    """Parameters of a stage's model and how many numbers each holds."""
    path = folder / "checkpoints" / stage.id / POTENTIAL
    network = load_potential(path, own_network=True)[0].network
    return {name: p.numel() for name, p in network.named_parameters() if p.numel()}


def later_blocks(architecture: str) -> int:
    """As many blocks as leave one to train."""
    return LADDER[architecture]["tiny"].n_blocks - 1


@pytest.mark.slow
@pytest.mark.parametrize("architecture", LADDER)
def test_parts_of_every_architecture_learn_in_a_stage(
    few: Dataset, plan: Plan, run: Run, tmp_path: Path, architecture: str
) -> None:
    """Outside the part no weight moves; LoRA's parameters are as many as its rank times a share."""
    model = {"architecture": architecture, "size": "tiny"}
    frozen = later_blocks(architecture)
    largest = LADDER[architecture]["tiny"].largest_rank
    parts = ["all", "readout"]
    parts += [{"freeze_blocks": frozen}] if frozen else []
    parts += [{"lora": rank} for rank in (1, 2) if rank <= largest]
    n_trainable: dict[str, int] = {}
    for part in parts:
        parent, child = plan(few, DFT, {**CC, "trainable": part}, training=TINY, model=model)
        if not n_trainable:
            run(parent)
        row = run(child).row
        assert (row["status"], row["trainable"]) == ("finished", child.trainable)
        n_trainable[child.trainable] = row["n_trainable"]
        sizes = parameters(tmp_path, child)
        assert sum(sizes.values()) == row["n_parameters"]
        before, after = tensors(tmp_path, parent), tensors(tmp_path, child)
        common = [name for name in after if name in before and name in sizes]
        assert any(name.startswith("backbone") for name in common)
        moved = {name for name in common if not np.array_equal(before[name], after[name])}
        readouts = sum(n for name, n in sizes.items() if name not in common)
        if child.trainable.startswith(("freeze", "readout")):
            assert sum(sizes[n] for n in moved) + readouts <= row["n_trainable"]
        if child.trainable == "readout":
            assert not {name for name in moved if name.startswith("backbone")}
        else:
            assert {name for name in moved if name.startswith("backbone")}
    assert n_trainable["all"] == row["n_parameters"]
    others = [n for name, n in n_trainable.items() if name not in ("all", "readout")]
    assert all(n_trainable["readout"] < n < n_trainable["all"] for n in others)
    if largest >= 2:
        one, two = n_trainable["lora:1"], n_trainable["lora:2"]
        assert two - one == one - n_trainable["readout"]


@pytest.mark.slow
@pytest.mark.parametrize("architecture", LADDER)
def test_an_embedded_fidelity_trains_and_hands_on(
    few: Dataset, plan: Plan, run: Run, tmp_path: Path, architecture: str
) -> None:
    """Two methods through one readout, then one of them alone."""
    model = {"architecture": architecture, "size": "tiny", "fidelity": "embedding"}
    only_cc = {"heads": {**CC["heads"], "dft": "drop"}}
    stages = plan(few, BOTH, only_cc, training={**TINY, "max_steps": 12}, model=model)
    rows = [run(stage).row for stage in stages]
    assert [row["fidelity"] for row in rows] == ["embedding", "embedding"]
    assert all(row["n_trainable"] == row["n_parameters"] for row in rows)
    (plain,) = plan(few, BOTH, training=TINY, model={"architecture": architecture})
    assert plain.id != stages[0].id
    for stage in stages:
        path = tmp_path / "checkpoints" / stage.id / POTENTIAL
        potential, _ = load_potential(path, own_network=True)
        assert potential.spec.fidelity == "embedding"
        assert set(potential.heads) == set(stage.heads)
        assert len({head.energy_scale_ev for head in potential.heads.values()}) == 1
    for head in ("cc", "dft"):
        baseline, start = (
            next(
                e["value"]
                for e in rows[0]["evaluations"]
                if (e["head"], e["method"], e["moment"], e["subset"]) == (head, head, moment, "t")
            )
            for moment in ("baseline", "start")
        )
        assert start == pytest.approx(baseline, rel=1e-9)


@pytest.mark.slow
def test_a_killed_low_rank_run_ends_as_an_undisturbed_one(
    few: Dataset,
    plan: Plan,
    run: Run,
    start_alone: Callable[..., Popen[bytes]],
    reproducible: Callable[[StageResult], dict[str, Any]],
    tmp_path: Path,
) -> None:
    """What is learned beside the weights is part of the progress; it is folded in at the end."""
    training = {"max_steps": 60, "validate_every": 5, "patience": 100}
    parent, child = plan(few, DFT, {**CC, "trainable": {"lora": 2}}, training=training)
    run(parent, folder="undisturbed")
    folder = tmp_path / "killed"
    shutil.copytree(tmp_path / "undisturbed" / parent.id, folder / parent.id)
    undisturbed = run(child, folder="undisturbed")

    process = start_alone(child, folder, every_s=0.0)
    while not (folder / child.id / PROGRESS).exists():
        assert process.poll() is None, "it ended before it left any progress"
        time.sleep(0.002)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not (folder / child.id / POTENTIAL).exists()
    progress = load_progress(folder / child.id / PROGRESS, child.id)
    assert progress is not None
    assert 0 < progress.step < 60
    learning = sum(tensor.numel() for tensor in progress.weights)
    assert learning == undisturbed.row["n_trainable"] < undisturbed.row["n_parameters"]

    resumed = run(child, folder="killed")
    assert resumed.curve[: len(progress.curve)] == progress.curve, "steps done were done again"
    assert reproducible(resumed) == reproducible(undisturbed)
    mine, theirs = (
        load_file(tmp_path / name / child.id / POTENTIAL) for name in ("killed", "undisturbed")
    )
    assert mine.keys() == theirs.keys()
    assert all(mine[name].tobytes() == theirs[name].tobytes() for name in mine)

"""On another device a stage does what it does on the processor, and hardly waits for it."""

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mfscale.data import Dataset
from mfscale.study import Stage
from mfscale.training import StageResult

ELSEWHERE = Path(__file__).with_name("elsewhere.py")
Plan = Callable[..., list[Stage]]
Run = Callable[..., StageResult]

XTB = {"subset": "b", "size": 40, "validation": 8}
DFT = {"subset": "b", "size": 24, "validation": 8}
CC = {"subset": "a", "size": 16, "validation": 8}
FROM_DFT: dict[str, Any] = {"cc": {**CC, "inherit": "dft"}, "dft": "drop"}
OF_TWO_HEADS = {"heads": {"xtb": XTB, "dft": DFT}}
OF_DFT = {"heads": {"dft": DFT}}
LOW_RANK = {"heads": FROM_DFT, "trainable": {"lora": 2}}
WITH_READOUTS: tuple[tuple[dict[str, Any], ...], ...] = (
    (OF_TWO_HEADS, {"heads": {**FROM_DFT, "xtb": "keep"}}),
    (OF_DFT, {"heads": {"cc": {**CC, "inherit": "fresh"}, "dft": "drop"}, "trainable": "readout"}),
    (OF_DFT, LOW_RANK),
    ({"heads": {"cc": {**CC, "minus": "xtb"}}},),
)
WITH_ONE = ((OF_TWO_HEADS, {"heads": {**FROM_DFT, "xtb": "drop"}}), (OF_DFT, LOW_RANK))


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["nequip", "allegro", "mace"])
def test_another_device_gives_what_the_processor_gives(
    few: Dataset, plan: Plan, run: Run, tmp_path: Path, architecture: str
) -> None:
    """Every way of training; interrupted there and not here, equal to rounding."""
    stages: dict[str, Stage] = {}
    ways = [("readout", WITH_READOUTS), ("embedding", WITH_ONE)]
    if architecture == "allegro":  # what is trained, and how, is the architecture's only in part
        ways = [("readout", WITH_READOUTS[:1]), ("embedding", WITH_ONE[1:])]
    if architecture == "mace":
        ways = [("readout", WITH_READOUTS[:1])]
    for fidelity, strategies in ways:
        model = {"architecture": architecture, "fidelity": fidelity, "size": "tiny"}
        for steps in strategies:
            planned = plan(few, *steps, model=model, training={"max_steps": 6, "validate_every": 3})
            stages |= {stage.id: stage for stage in planned}
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    texts = [stage.model_dump_json() for stage in stages.values()]
    (folder / "stages.json").write_text(json.dumps(texts))
    command = [sys.executable, str(ELSEWHERE), str(folder)]
    subprocess.run(command, check=True, timeout=600)
    results = pickle.loads((folder / "results.pickle").read_bytes())  # noqa: S301 - our own
    for stage, (there, before, after) in zip(stages.values(), results, strict=True):
        # Before steps 0 to 4, and then 4 and 5; validations come after steps 2 and 5.
        waited = np.diff(before).tolist() + np.diff(after).tolist()
        assert [waited[step] for step in (0, 1, 3, 4)] == [0] * 4, "a step waited for the device"
        assert waited[2] > 0, "a validation reads its result"
        here = run(stage)
        assert there.row["status"] == "finished"
        for name in ("steps", "steps_to_best", "n_parameters", "n_trainable", "stop_reason"):
            assert there.row[name] == here.row[name]
        for one, other in zip(there.row["evaluations"], here.row["evaluations"], strict=True):
            assert one == {**other, "value": pytest.approx(other["value"], rel=1e-4)}
        losses = [point.validation_loss for point in here.curve]
        assert [p.validation_loss for p in there.curve] == pytest.approx(losses, rel=1e-4)

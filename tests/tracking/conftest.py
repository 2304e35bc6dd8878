"""A store with every kind of stage a tracker may get, and what W&B leaves in a folder."""

import struct
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pytest

from mfscale.results import CURVE_SCHEMA, Store
from mfscale.study import Stage, expand, parse_study

STUDY = """
name: small
dataset: chno3
training: {max_steps: 20, validate_every: 10, batch_size: 8}
strategies:
  finetune:
    - heads: {dft: {subset: b, size: 8, validation: 8}}
    - heads: {cc: {subset: a, size: [8, 16, 32, 64], validation: 8}}
"""


@pytest.fixture(scope="session")
def stages() -> list[Stage]:
    """Pre-training, and four fine-tunings."""
    from mfscale.cli._catalogue import catalogue

    return list(expand(parse_study(STUDY, source="test.yaml"), catalogue()).stages.values())


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory, stages: list[Stage]) -> Store:
    """Two stages that finished, one that diverged, one that failed, one that was skipped."""
    import torch

    from mfscale.training import run_stage

    torch.set_num_threads(1)
    filled = Store(tmp_path_factory.mktemp("tracking") / "store", create=True)
    for stage, status in zip(stages[:3], ("finished", "finished", "diverged"), strict=True):
        result = run_stage(stage, checkpoint_dir=filled.checkpoint_dir)
        curve = pa.Table.from_pylist([asdict(point) for point in result.curve], CURVE_SCHEMA)
        filled.publish_curve(stage.id, curve)
        how = {} if status == "finished" else {"status": status, "reason": "the loss is NaN"}
        filled.publish({**result.row, "attempt": 0, **how})
    for stage, status in zip(stages[3:], ("failed", "skipped"), strict=True):
        filled.publish(
            {
                "stage_id": stage.id,
                "attempt": 0,
                "status": status,
                "purpose": "science",
                "parent_id": stage.parent_id,
                "root_id": stage.root_id,
                "reason": "its worker died 3 times",
            }
        )
    return filled


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No tracker finds this person's settings, or calls home."""
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "WANDB_DIR", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")


def wandb_records(path: Path) -> Iterator[bytes]:
    """The records of a ``.wandb`` file, which is a log of LevelDB behind seven bytes.

    https://github.com/google/leveldb/blob/main/doc/log_format.md: blocks of 32 KiB; a record in
    fragments of a checksum (4 bytes), a length (2), and a type (1): whole, first, middle, last.
    """
    data, position, record = path.read_bytes(), 7, b""
    while position + 7 <= len(data):
        if (room := 32768 - position % 32768) < 7:
            position += room
            continue
        length, kind = struct.unpack("<HB", data[position + 4 : position + 7])
        record += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):
            yield record
            record = b""

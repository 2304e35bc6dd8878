"""Stages that really run out of memory: taken in parts until they fit, or failed with a reason."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mfscale.results import Store
from tests.orchestration.conftest import SMALL

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="limits a process's memory as Linux does"),
]

LIMITED = Path(__file__).parent / "limited.py"
LARGE = """
name: large
dataset: chno3
model: {architecture: allegro, size: SIZE}
training: {max_steps: 3, validate_every: 1, batch_size: BATCH}
strategies:
  large:
    - heads: {dft: {subset: b, size: LABELS, validation: 8}}
"""


def run_limited(
    folder: Path, size: str, batch: int, labels: int, megabytes: float
) -> dict[str, Any]:
    """What becomes of one stage in a process that may take so much more memory."""
    small = SMALL.replace("dataset:", "model: {architecture: allegro}\ndataset:")
    (folder / "small.yaml").write_text(small)
    large = LARGE.replace("SIZE", size).replace("BATCH", str(batch)).replace("LABELS", str(labels))
    (folder / "large.yaml").write_text(large)
    command = [sys.executable, LIMITED, folder / "store"]
    files = [folder / "small.yaml", folder / "large.yaml"]
    done = subprocess.run(
        [*map(str, [*command, *files]), str(megabytes)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(LIMITED.parents[2])},
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_batch_that_does_not_fit_is_taken_in_parts(tmp_path: Path) -> None:
    """A step on 512 structures takes some 300 MB."""
    ended = run_limited(tmp_path, "tiny", batch=512, labels=512, megabytes=200)
    assert ended["unfinished"] == []
    (row,) = ended["rows"]
    assert row["status"] == "finished"
    assert row["steps"] == 3
    assert row["hyperparameters"]["batch_size"] == 512
    assert row["batch_parts"] in (2, 4, 8)
    assert any(
        "ran out of memory with the machine's memory; went on with" in w for w in row["warnings"]
    )
    assert len(ended["warnings"]) >= len(row["warnings"])


def test_a_structure_that_does_not_fit_fails_with_the_remedy(tmp_path: Path) -> None:
    ended = run_limited(tmp_path, "xlarge", batch=4, labels=16, megabytes=8)
    (row,) = ended["rows"]
    assert row["status"] == "failed"
    (unfinished,) = ended["unfinished"]
    assert "in 4 parts, one structure each; take a smaller model.size" in unfinished["reason"]
    logs = list((tmp_path / "store" / "logs").glob(f"{row['stage_id']}-*.log"))
    assert len(logs) == 3  # whole, in two, in four
    assert (tmp_path / "store" / row["log_file"]).exists()
    assert Store(tmp_path / "store").row(row["stage_id"])["reason"] == unfinished["reason"]

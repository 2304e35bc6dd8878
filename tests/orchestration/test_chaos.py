"""The short form of ``benchmarks/chaos.py``: two drivers on one store, and kills of most kinds."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHAOS = Path(__file__).parents[2] / "benchmarks" / "chaos.py"


@pytest.mark.slow
def test_killed_workers_drivers_and_nodes_cost_no_row_and_duplicate_none(tmp_path: Path) -> None:
    out = tmp_path / "chaos.json"
    kinds = ["worker SIGKILL", "worker SIGTERM", "driver SIGKILL", "node SIGKILL"]
    options = ["--stages", "25", "--steps", "400", "--limit", "200", "--no-disk"]
    done = subprocess.run(
        [sys.executable, str(CHAOS), str(out), *options, "--kinds", *kinds],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(out.read_text())
    assert told["passed"]
    kills = told["kills_by_kind"]
    assert kills.keys() <= set(kinds)
    assert sum(kills.values()) >= 3  # of four: a slow machine may end the study before the last
    assert told["drivers_started"] >= 2 + kills.get("driver SIGKILL", 0)
    assert told["reads_meanwhile"] > 10

"""A study small enough to run for real in seconds, and a way to run it in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mfscale.cli._catalogue import catalogue
from mfscale.orchestration import rates
from mfscale.results import SCHEMA
from mfscale.study import StudyGraph, expand, parse_study

SMALL = """
name: small
dataset: chno3
training: {max_steps: 30, validate_every: 10, batch_size: 8}
strategies:
  direct:
    - heads: {cc: {subset: a, size: 16, validation: 8}}
  finetune:
    - heads: {dft: {subset: b, size: [16, 32], validation: 8}}
    - heads: {cc: {subset: a, size: [16, 32], validation: 8}}
"""

NO_RATES = rates(SCHEMA.empty_table(), {})


def graph_of(text: str) -> StudyGraph:
    return expand(parse_study(text, source="test.yaml"), catalogue())


@pytest.fixture
def start_run(tmp_path: Path) -> Callable[[str, Path], subprocess.Popen[str]]:
    """Start ``mfscale run`` on a study's text and a store."""

    def start(text: str, store: Path) -> subprocess.Popen[str]:
        study = tmp_path / "study.yaml"
        study.write_text(text)
        command = [sys.executable, "-m", "mfscale", "run", str(study), "--store", str(store)]
        command += ["--compile", "never"]  # of a stage that is to be cut short
        return subprocess.Popen(
            [*command, "--cpus", "2"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "COLUMNS": "200"},
        )

    return start

"""A store with a real study in it, trained in this process, and a way to call the command line."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import Result
from typer.testing import CliRunner

from mfscale.cli import app
from mfscale.results import CURVE_SCHEMA, ERRORS_SCHEMA, Store

STUDY = """
name: small
dataset: chno3
seed: [0, 1]
training: {max_steps: 10, validate_every: 10, batch_size: 8}
strategies:
  direct:
    - heads: {cc: {subset: a, size: [8, 16, 32], validation: 8}}
  finetune:
    - heads: {dft: {subset: b, size: [8, 16], validation: 8}}
    - heads: {cc: {subset: a, size: [8, 16], validation: 8}}
"""


@pytest.fixture(scope="session")
def study_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("study") / "small.yaml"
    path.write_text(STUDY)
    return path


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory, study_file: Path) -> Store:
    """All stages of the small study but one fine-tuning, trained without Ray."""
    import torch

    from mfscale.cli.study import expand_file
    from mfscale.training import run_stage

    torch.set_num_threads(1)
    filled = Store(tmp_path_factory.mktemp("cli") / "store", create=True)
    stages = list(expand_file(study_file).stages.values())
    for stage in stages[:-1]:
        result = run_stage(stage, checkpoint_dir=filled.checkpoint_dir)
        curve = pa.Table.from_pylist([asdict(point) for point in result.curve], CURVE_SCHEMA)
        errors = pa.Table.from_pylist([asdict(error) for error in result.errors], ERRORS_SCHEMA)
        filled.publish_curve(stage.id, curve)
        filled.publish_errors(stage.id, errors)
        filled.publish({**result.row, "attempt": 0})
    filled.compact()
    return filled


@pytest.fixture
def call() -> Callable[..., Result]:
    """Call the command line in this process; anything but success fails the test."""

    def invoke(*arguments: object) -> Result:
        result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result

    return invoke

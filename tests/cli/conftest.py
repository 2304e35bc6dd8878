"""A store with a real study in it, trained in this process; ways to call the command line."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import Result
from typer.testing import CliRunner

from mfscale.cli import app, main
from mfscale.results import CURVE_SCHEMA, Store, errors_table
from mfscale.study import Stage

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
    stages = list(expand_file(study_file, study_file.parent).stages.values())
    for stage in stages[:-1]:
        result = run_stage(stage, checkpoint_dir=filled.checkpoint_dir)
        curve = pa.Table.from_pylist([asdict(point) for point in result.curve], CURVE_SCHEMA)
        filled.publish_curve(stage.id, curve)
        filled.publish_errors(stage.id, errors_table(map(vars, result.errors)))
        filled.publish({**result.row, "attempt": 0})
    filled.compact()
    return filled


@pytest.fixture(scope="session")
def archive() -> Path:
    """The results of all embedded studies, as they are shipped."""
    return Path(__file__).parents[2] / "examples" / "embedded"


@pytest.fixture
def copied(store: Store, tmp_path: Path) -> Store:
    """A copy of the store, to do harm to."""
    shutil.copytree(store.path, tmp_path / "copy")
    return Store(tmp_path / "copy")


@pytest.fixture(scope="session")
def stages(study_file: Path) -> list[Stage]:
    """The stages of the small study; the store lacks the last."""
    from mfscale.cli.study import expand_file

    return list(expand_file(study_file, study_file.parent).stages.values())


def model_of(store: Store, stage: Stage) -> Path:
    return store.checkpoint_dir(stage.id) / "model.safetensors"


def content(store: Store) -> dict[str, bytes]:
    """Every file of a store but its locks."""
    return {
        str(path): path.read_bytes()
        for path in store.path.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


def run_one(stage: Stage, store: Store, *, again: bool = False) -> dict[str, Any]:
    """Run a stage as a Ray worker does, in this process."""
    from mfscale.orchestration import worker

    return worker.run_one(
        {
            worker.STAGE: stage.model_dump_json(),
            worker.STORE: str(store.path),
            worker.AGAIN: again,
            worker.TRIAL: None,
            worker.THREADS: 1,
            worker.GPU: 0.0,
            worker.PARTS: 1,
            worker.NOTES: [],
            worker.COMPILED: False,
            worker.WAITS: True,
            worker.KERNELS: "e3nn",
            worker.SAVE_EVERY: 60.0,
        }
    )


def answer(result: Result) -> Any:  # noqa: ANN401 - whatever JSON a command prints
    """What a script reads: strict JSON on standard output."""
    return json.loads(result.stdout, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))


@pytest.fixture
def call() -> Callable[..., Result]:
    """Call the command line in this process; anything but success fails the test."""

    def invoke(*arguments: object) -> Result:
        result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result

    return invoke


@dataclass(frozen=True)
class Answer:
    """What a command said, and how it ended."""

    status: int
    out: str
    err: str


Command = Callable[..., Answer]


@pytest.fixture
def mfscale_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Command:
    """Run the command line's own entry point in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["mfscale", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        status = ended.value.code or 0
        assert isinstance(status, int)
        return Answer(status, *capsys.readouterr())

    return run


@pytest.fixture
def mfscale_process(tmp_path: Path) -> Command:
    """Run the command in a process of its own, in an empty folder."""

    def run(*arguments: object) -> Answer:
        done = subprocess.run(
            [sys.executable, "-m", "mfscale", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
            timeout=60,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    return run


def assert_one_message(answer: Answer, *words: object) -> None:
    assert answer.status == 2, answer
    assert answer.out == ""
    assert answer.err.startswith("error: ")
    assert "Traceback" not in answer.err
    assert "Warning" not in answer.err
    for word in words:
        assert str(word) in answer.err

"""The commands and the Python that docs/laws.md shows run, on the archive that is shipped."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from mfscale.cli import app

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "laws.md").read_text(encoding="utf-8")
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
]

STUDY = """
name: page
dataset: chno3
model: {architecture: nequip, size: [tiny, small, medium]}
seed: {zip: replicate, values: [0, 1, 2, 3, 4]}
data_seed: {zip: replicate, values: [0, 1, 2, 3, 4]}
training: {max_steps: 1500, batch_size: 16, validate_every: 50, patience: 12}
tune: {freeze: embedded}
strategies:
  direct: [{heads: {cc: {subset: a, size: [50, 100, 200]}}}]
  finetune:
    - heads: {dft: {subset: b, size: [50, 100, 300, 1000]}}
    - heads: {cc: {subset: a, size: [50, 100, 200]}}
"""
"""Stages of which the archive has many."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive that the project ships, a study, and what lines of the page write for others."""
    folder = tmp_path_factory.mktemp("page")
    shutil.copytree(ROOT / "examples" / "embedded", folder / "mfscale-store")
    (folder / "study.yaml").write_text(STUDY)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for line in COMMANDS:
            if "--save" in line:
                _run(line, folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("line", COMMANDS)
def test_the_commands_on_the_page_run(
    line: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    result = _run(line, folder)
    assert result.exit_code == 0, result.exception or result.output
    assert result.stdout


def _run(line: str, folder: Path) -> Result:
    program, *arguments = shlex.split(line)
    assert program == "mfscale"
    there = {"MFSCALE_STORE": str(folder / "mfscale-store")}
    return CliRunner().invoke(app, arguments, env=there)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        *zip(
            re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL),
            ("needs labels", "late_power: AICc", "runs at a cost of"),
            strict=True,
        )
    ],
)
def test_the_examples_on_the_page_run(
    code: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    exec(code, {})  # noqa: S102 - our own page
    assert said in capsys.readouterr().out

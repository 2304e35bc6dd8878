"""The commands that docs/campaigns.md shows do what it says, or at least run."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from mfscale.cli import app
from mfscale.results import Store
from mfscale.study import Stage
from tests.cli.conftest import STUDY

PAGE = (Path(__file__).parents[2] / "docs" / "campaigns.md").read_text(encoding="utf-8")
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
]
CAMPAIGN = {"triage", "retry", "verify", "gc", "diff", "adopt"}


@pytest.mark.parametrize("line", COMMANDS)
def test_the_commands_on_the_page_run(
    line: str,
    copied: Store,
    stages: list[Stage],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: Callable[..., Result],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MFSCALE_STORE", str(copied.path))
    Path("study.yaml").write_text(STUDY)
    Path("other.yaml").write_text(STUDY.replace("32", "64"))
    call("export", stages[-2].id, "--out", "model.safetensors")
    ids = {"72474583": stages[0].id, "ffc485da": stages[1].id, "8ef28aff": stages[-1].id}
    program, *arguments = [ids.get(word, word) for word in shlex.split(line)]
    assert program == "mfscale"
    result = CliRunner().invoke(app, arguments, input="n\n", catch_exceptions=False)
    found = line == "mfscale verify study.yaml"  # the store lacks a stage of it
    assert result.exit_code == (1 if found else 0), result.output


def test_the_page_shows_every_command_of_its_kind() -> None:
    assert {shlex.split(line)[1] for line in COMMANDS} == CAMPAIGN | {"plan"}

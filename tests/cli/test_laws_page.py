"""The commands that docs/laws.md shows exist with the options shown, and its example runs."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mfscale.cli import app

PAGE = (Path(__file__).parents[2] / "docs" / "laws.md").read_text(encoding="utf-8")
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
]


@pytest.mark.parametrize("line", COMMANDS)
def test_the_options_on_the_page_exist(line: str, tmp_path: Path) -> None:
    program, *arguments = shlex.split(line)
    assert program == "mfscale"
    result = CliRunner().invoke(app, [*arguments, "--store", str(tmp_path / "none")])
    assert "No such option" not in result.output
    assert type(result.exception).__name__ == "StoreError"  # all that is wrong is the store


@pytest.mark.parametrize(
    ("code", "said"),
    [
        *zip(
            re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL),
            ("needs labels", "runs at a cost of"),
            strict=True,
        )
    ],
)
def test_the_examples_on_the_page_run(
    code: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    exec(code, {})  # noqa: S102 - our own page
    assert said in capsys.readouterr().out

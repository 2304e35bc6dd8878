"""Commands that only look load neither torch nor Ray."""

import ast
import subprocess
import sys
from pathlib import Path

from mfscale.results import Store
from mfscale.study import Stage
from tests.cli.conftest import model_of


def test_commands_that_look_load_nothing_heavy(
    copied: Store, stages: list[Stage], study_file: Path, tmp_path: Path
) -> None:
    model_of(copied, stages[0]).unlink()
    commands = [
        ["plan", str(study_file), "--why"],
        ["triage", str(study_file)],
        ["verify", str(study_file)],
        ["diff", stages[0].id, stages[1].id],
        ["diff", str(study_file), str(study_file)],
        ["gc", "--json"],
        ["retry", str(study_file)],
    ]
    program = (
        "import sys\nfrom mfscale.cli import main\n"
        f"for command in {commands}:\n"
        "    sys.argv = ['mfscale', *command]\n"
        "    try: main()\n    except SystemExit as end: assert end.code in (0, 1, None), command\n"
        "print(sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"MFSCALE_STORE": str(copied.path), "PATH": ""},
    )
    loaded = set(ast.literal_eval(done.stderr.splitlines()[-1]))
    assert not loaded & {"torch", "ray", "matplotlib", "duckdb", "statsmodels"}

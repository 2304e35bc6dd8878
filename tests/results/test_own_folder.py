"""A folder of a process's own goes with it, or with the next process if it was killed."""

import subprocess
import sys
from pathlib import Path

from mfscale.results import own_folder

HOLDER = """
import sys
from pathlib import Path
from mfscale.results import own_folder
with own_folder(Path(sys.argv[1]), "copies-") as folder:
    (folder / "large").write_text("a copy")
    print(folder.name, flush=True)
    input()
"""


def test_what_killed_processes_leave_is_cleared_and_nothing_else(tmp_path: Path) -> None:
    def holder() -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    killed, living = holder(), holder()
    names = []
    for process in (killed, living):
        assert process.stdout is not None
        names.append(process.stdout.readline().strip())
    killed.kill()
    killed.wait()
    (tmp_path / "copies-of-mine").mkdir()
    with own_folder(tmp_path, "copies-") as folder:
        left = {path.name for path in tmp_path.iterdir()}
        assert left == {names[1], "copies-of-mine", folder.name}
        assert folder.stat().st_mode & 0o077 == 0
    living.communicate("\n", timeout=60)
    assert [path.name for path in tmp_path.iterdir()] == ["copies-of-mine"]

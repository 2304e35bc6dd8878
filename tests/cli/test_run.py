"""``mfscale run`` as people see it: in a terminal, in a pipe, interrupted."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

STUDY = """
dataset: chno3
training: {max_steps: 20, validate_every: 10, batch_size: 8}
strategies:
  finetune:
    - heads: {dft: {subset: b, size: 8, validation: 8}}
    - heads: {cc: {subset: a, size: [8, 16], validation: 8}}
"""


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    study = tmp_path / "study.yaml"
    study.write_text(STUDY)
    program = [sys.executable, "-m", "mfscale", "run", str(study)]
    return [*program, "--store", str(tmp_path / "store"), "--cpus", "2"]


def test_a_terminal_shows_a_live_bar(command: list[str]) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "140", "TERM": "xterm"}
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # the terminal's other end is closed
                break
            if not chunk:
                break
            shown += chunk
    os.close(ours)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert process.returncode == 0
    assert re.search(r"0/3 stages 1 running, 0 failed, about \d+ s left, 0:", text)
    assert re.search(r"1/3 stages 2 running, 0 failed, [\d,]+ structures/s, about \d+ s left", text)
    assert "3 stages finished, 0 of 3 were cached" in text


def test_a_pipe_gets_a_line_a_stage_and_json_stays_clean(command: list[str]) -> None:
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    summary = json.loads(done.stdout)
    assert (summary["stages"], summary["finished"], summary["failed"]) == (3, 3, 0)
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "nothing to run, 3 of 3 were cached" in again.stdout


@pytest.mark.parametrize("after_s", [2.5, 5, 10])
def test_ctrl_c_ends_in_a_message_and_the_same_command_goes_on(
    command: list[str], after_s: float
) -> None:
    """While Python imports, while Ray starts, while stages run."""
    first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    time.sleep(after_s)
    first.send_signal(signal.SIGINT)
    output, _ = first.communicate(timeout=120)
    assert "Traceback" not in output, output
    assert first.returncode in {0, 130}, output
    last = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "0 stages left" not in last.stdout
    assert "of 3 were cached" in last.stdout

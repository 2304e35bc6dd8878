"""``ray up`` over SSH, a study on three hosts of which one is lost, ``ray down``: really done."""

import json
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy" / "rehearsal" / "rehearse.py"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("hosts")
def test_a_study_survives_the_loss_of_a_host(tmp_path: Path) -> None:
    out = tmp_path / "told.json"
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--out", str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(out.read_text())
    lost = told["cut"]["host"]
    assert told["status"] == {"stages": 15, "finished": 15}
    assert set(told["hosts"]) == {"worker-1", "worker-2", "worker-3"}  # all had a part in it
    assert all(hosts[0] == lost and hosts[-1] != lost for hosts in told["moved"].values())
    assert not told["left_running"]


def test_nothing_is_left_of_hosts_when_who_made_them_is_killed(
    hosts: ModuleType, tmp_path: Path
) -> None:
    made = 'ip link add gone type bridge && touch "$0" && sleep 600'
    process = subprocess.Popen(hosts.apart(["sh", "-c", made, str(tmp_path / "made")]))
    while process.poll() is None and not (tmp_path / "made").exists():
        time.sleep(0.05)
    running = process.poll() is None
    process.kill()
    process.wait()
    assert running
    for command in (["ps", "ax"], ["ip", "link"]):
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert str(tmp_path) not in shown
        assert "gone" not in shown


@pytest.mark.usefixtures("hosts")
def test_what_is_missing_for_hosts_is_named() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/nowhere"},
    )
    assert done.returncode == 2
    assert "apt-get install" in done.stderr

"""``ray up`` over SSH, a study on three hosts of which one is lost, ``ray down``: really done."""

import json
import subprocess
import sys
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
    assert not told["left_running"].keys() - {lost}


def test_nothing_is_left_of_a_host_that_is_not_needed_any_more(
    hosts: ModuleType, tmp_path: Path
) -> None:
    mark = tmp_path / "ran"
    command = ["sh", "-c", f"ip link add gone type dummy && touch {mark} && sleep 600 & sleep 600"]
    process = subprocess.Popen(hosts.apart(command))
    while not mark.exists():
        assert process.poll() is None
    process.kill()
    process.wait()
    links = subprocess.run(["ip", "link"], capture_output=True, text=True, check=True)
    assert "gone" not in links.stdout


def test_who_cannot_make_hosts_is_told_so(hosts: ModuleType) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/nowhere"},
    )
    if hosts.programme("ip") is None or done.returncode == 0:
        pytest.fail(done.stderr)
    assert done.returncode == 2
    assert "apt-get install" in done.stderr

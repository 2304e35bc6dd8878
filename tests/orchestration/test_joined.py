"""A run on a Ray cluster that is there already."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

import pytest

from mfscale.orchestration import OrchestrationError, run
from mfscale.results import Store
from tests.orchestration.conftest import NO_RATES, SMALL, graph_of

START = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block"]


class Cluster:
    """A head without slots, and nodes of one slot each."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
        self.environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token_hex(32)}
        place = [f"--port={port}", "--node-ip-address=127.0.0.1", f"--temp-dir={folder}"]
        self.processes = [self._start("--head", "--include-dashboard=false", *place, cpus=0)]
        until = time.monotonic() + 60
        with socket.socket() as probe:
            while probe.connect_ex(("127.0.0.1", port)):
                assert time.monotonic() < until, "no head"
                time.sleep(0.1)

    def add_node(self) -> subprocess.Popen[bytes]:
        """A node with one slot; it ends with all its processes if it is killed as a group."""
        node = self._start(f"--address={self.address}", cpus=1)
        self.processes.append(node)
        until = time.monotonic() + 60
        while not any("/raylet" in command_of(pid) for pid in children(node.pid)):
            assert time.monotonic() < until, "no node"
            time.sleep(0.1)
        time.sleep(2)  # until it has joined
        return node

    def mfscale(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run a command line that finds the cluster in its environment."""
        return subprocess.run(
            [sys.executable, "-m", "mfscale", *arguments],
            env={**self.environment, "RAY_ADDRESS": self.address, "COLUMNS": "200", **environment},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    def kill(self, process: "subprocess.Popen[bytes]") -> None:
        """SIGKILL all of a node."""
        for pid in [process.pid, *children(process.pid)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        self.processes.remove(process)

    def _start(self, *options: str, cpus: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*START, f"--num-cpus={cpus}", *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self.environment,
        )


def children(pid: int) -> list[int]:
    """Processes that descend from one."""
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *children(int(child))]
    return found


def command_of(pid: int) -> str:
    """What a process is called."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


@contextmanager
def cluster_of(nodes: int, folder: Path) -> Iterator[Cluster]:
    cluster = Cluster(folder)
    try:
        for _ in range(nodes):
            cluster.add_node()
        yield cluster
    finally:
        for process in list(cluster.processes):
            cluster.kill(process)


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a name short enough for Ray's sockets."""
    return tmp_path_factory.mktemp("r")


def nodes_of(store: Path) -> set[str]:
    """Processes that trained, one a slot, by the logs."""
    logs = (log.read_text().splitlines()[0] for log in (store / "logs").glob("*.log"))
    return {line.partition("in process ")[2] for line in logs}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_study_runs_on_a_cluster_loses_a_node_and_leaves_the_cluster(
    tmp_path: Path, short: Path
) -> None:
    study, store = tmp_path / "study.yaml", tmp_path / "store"
    study.write_text(SMALL.replace("max_steps: 30", "max_steps: 400"))
    with cluster_of(2, short) as cluster:
        command = [sys.executable, "-m", "mfscale", "run", str(study), "--store", str(store)]
        driver = subprocess.Popen(
            [*command, "--cpus", "2", "--ray-address", cluster.address],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=cluster.environment,
        )
        killed = False
        while driver.poll() is None:
            if not killed and len(nodes_of(store)) == 2:
                cluster.kill(cluster.processes[-1])
                cluster.add_node()
                killed = True
            time.sleep(0.2)
        told = driver.communicate()[0]
        assert driver.returncode == 0, told
        assert killed
        assert len(nodes_of(store)) >= 2, "stages ran on one node alone"
        assert set(Store(store).statuses().values()) == {"finished"}
        assert len(Store(store).statuses()) == 7
        assert cluster.processes[0].poll() is None, "the cluster ended with the run"

        # Another run on it, which finds its address in the environment, as a submitted one does.
        study.write_text(SMALL.replace("max_steps: 30", "max_steps: 20"))
        done = cluster.mfscale("run", str(study), "--store", str(store))
        assert done.returncode == 0, done.stderr
        assert "7 stages finished" in done.stdout

        wrong = cluster.mfscale(
            *("run", str(study), "--store", str(tmp_path / "new")),
            RAY_AUTH_TOKEN=token_hex(32),
        )
        assert wrong.returncode == 2
        assert "RAY_AUTH_TOKEN" in wrong.stderr.splitlines()[-1]
        assert "Traceback" not in wrong.stderr


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("127.0.0.1:1", "no Ray cluster answers there"),
        ("ray://127.0.0.1:10001", "from a machine of the cluster"),
        ("http://127.0.0.1:8265", "from a machine of the cluster"),
    ],
)
def test_an_address_that_leads_nowhere_is_one_message(
    tmp_path: Path, address: str, told: str
) -> None:
    store = Store(tmp_path / "store", create=True)
    with pytest.raises(OrchestrationError, match=f"--ray-address {address}.*{told}"):
        run(graph_of(SMALL), store, estimate=NO_RATES, address=address)
    assert store.statuses() == {}

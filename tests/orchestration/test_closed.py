"""While a study runs, nobody else can reach its Ray, and no secret of the environment is kept."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.orchestration.conftest import SMALL

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

Start = Callable[[str, Path], "subprocess.Popen[str]"]
SECRET = "wJalrXUtnFEMI-not-a-key-7f3a"  # noqa: S105 - as fake as it looks
VARIABLES = ("AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "WANDB_API_KEY", "RAY_AUTH_TOKEN")
INTRUDER = """
import sys
from ray._raylet import GcsClient
try:
    print(GcsClient(address=sys.argv[1]).internal_kv_keys(b"", None))
except Exception as error:
    print(type(error).__name__)
"""


def descendants(pid: int) -> set[int]:
    """A process and all that descend from it."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found, fresh = {pid}, {pid}
    while fresh:
        fresh = {child for child, parent in parents.items() if parent in fresh} - found
        found |= fresh
    return found


def listening(pids: Iterable[int]) -> set[tuple[str, int]]:
    """Addresses and ports on which processes take connections."""
    sockets: set[str] = set()
    for pid in pids:
        with suppress(OSError):
            sockets |= {str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            local, state, inode = (line.split()[column] for column in (1, 3, 9))
            if state == "0A" and f"socket:[{inode}]" in sockets:
                address, port = local.split(":")
                words = [bytes.fromhex(address[i : i + 8])[::-1] for i in range(0, len(address), 8)]
                found.add((str(ip_address(b"".join(words))), int(port, 16)))
    return found


def is_loopback(address: str) -> bool:
    ip = ip_address(address)
    return (getattr(ip, "ipv4_mapped", None) or ip).is_loopback


def intrude(port: int, **environment: str) -> str:
    """What another process is told that asks the cluster's store for its keys."""
    own = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", INTRUDER, f"127.0.0.1:{port}"],
        env={**own, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


def files_of(*folders: Path) -> dict[Path, bytes]:
    return {p: p.read_bytes() for folder in folders for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def ray_folder() -> Iterator[Path]:
    """Where Ray's sockets go; its name is short, for theirs may not be long."""
    with tempfile.TemporaryDirectory(prefix="mfs-", dir="/tmp") as folder:
        yield Path(folder)


def test_ports_token_folders_and_secrets(
    tmp_path: Path, ray_folder: Path, start_run: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, store = tmp_path / "home", tmp_path / "store"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("RAY_TMPDIR", str(ray_folder))
    for name in VARIABLES:
        monkeypatch.setenv(name, SECRET)
    driver = start_run(SMALL, store)
    ports: set[tuple[str, int]] = set()
    while driver.poll() is None and len(list(store.glob("inbox/*.parquet"))) < 2:
        ports |= listening(descendants(driver.pid))
        time.sleep(0.1)
    (session,) = ray_folder.iterdir()
    assert session.stat().st_mode & 0o077 == 0  # its sockets and logs are the user's own
    gcs = int(next(session.rglob("gcs_server_port_*")).read_text())
    assert intrude(gcs, RAY_AUTH_MODE="disabled") == "AuthenticationError"
    assert intrude(gcs, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN="0" * 64) == "AuthenticationError"
    assert "session_name" in intrude(gcs, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=SECRET)
    while_running = files_of(ray_folder)
    output, _ = driver.communicate(timeout=300)
    assert driver.returncode == 0, output
    assert len(ports) >= 5  # cluster store, node, object manager, driver, workers
    assert [address for address, _ in ports if not is_loopback(address)] == []
    assert list(ray_folder.iterdir()) == []
    assert SECRET not in output
    page = tmp_path / "page.html"
    subprocess.run(
        [sys.executable, "-m", "mfscale", "report", "--store", str(store), "--out", str(page)],
        check=True,
        capture_output=True,
    )
    every = {**while_running, **files_of(tmp_path)}
    assert {page, *store.glob("logs/*.log")} < every.keys()
    assert [path for path, content in every.items() if SECRET.encode() in content] == []
    assert not (home / ".ray").exists()


def test_what_a_killed_run_leaves_is_cleared_by_the_next(
    tmp_path: Path, ray_folder: Path, start_run: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(ray_folder))
    one = SMALL.split("  finetune:")[0]
    driver = start_run(one.replace("max_steps: 30", "max_steps: 100000"), tmp_path / "store")
    while not list(tmp_path.glob("store/logs/*")):
        assert driver.poll() is None
        time.sleep(0.1)
    driver.kill()
    driver.communicate()
    assert len(list(ray_folder.iterdir())) == 1
    strange = ray_folder / "mfscale-other"
    strange.mkdir()  # of something else: nobody says that a run made it
    driver = start_run(one, tmp_path / "store")
    output, _ = driver.communicate(timeout=300)
    assert driver.returncode == 0, output
    assert list(ray_folder.iterdir()) == [strange]


def test_a_ray_imported_beforehand_is_closed_too(ray_folder: Path) -> None:
    script = f"""
import ray
from pathlib import Path
from mfscale.orchestration.cluster import LOCAL, connected
with connected(LOCAL, 1, 0, Path({str(ray_folder)!r})):
    print("ready", flush=True)
    input()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        env={k: v for k, v in os.environ.items() if not k.startswith("RAY_")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    ports = listening(descendants(process.pid))
    gcs = int(next(ray_folder.rglob("gcs_server_port_*")).read_text())
    refused = intrude(gcs, RAY_AUTH_MODE="disabled")
    process.communicate("\n", timeout=60)
    assert process.returncode == 0
    assert len(ports) >= 4  # cluster store, node, object manager, driver
    assert [address for address, _ in ports if not is_loopback(address)] == []
    assert refused == "AuthenticationError"

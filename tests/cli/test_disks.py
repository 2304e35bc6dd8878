"""A store on a disk that is full, read-only or another one: the right result, or one message."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from mfscale.results import Store
from mfscale.study import Stage
from tests.cli.conftest import Command, assert_one_message, content, model_of, run_one

MOUNT = shutil.which("mount")
UMOUNT = shutil.which("umount")
Mount = Callable[..., Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mount something in a folder of the test, where this user may."""
    mounted: list[Path] = []

    def made(*arguments: object) -> Path:
        folder = tmp_path / f"disk-{len(mounted)}"
        folder.mkdir()
        remount(*arguments, folder)
        mounted.append(folder)
        return folder

    yield made
    for folder in mounted:
        subprocess.run([str(UMOUNT), folder], check=True)


def remount(*arguments: object) -> None:
    if MOUNT is None or sys.platform != "linux":
        pytest.skip("no disk can be mounted here")
    done = subprocess.run([MOUNT, *map(str, arguments)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("this user may not mount a disk")


def read_only(store: Store, mount: Mount) -> Store:
    """The same store through a read-only mount."""
    folder = mount("--bind", store.path)
    remount("-o", "remount,bind,ro", folder)
    return Store(folder)


def fill(path: Path) -> None:
    """Leave no room on a disk."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)


@pytest.mark.parametrize(
    "command",
    [["status"], ["results"], ["sql", "select count(*) from results"], ["fit"], ["verify"]],
    ids=lambda command: command[0],
)
def test_a_read_only_store_is_read(
    mfscale_here: Command, copied: Store, mount: Mount, command: list[str]
) -> None:
    answer = mfscale_here(*command, "--store", read_only(copied, mount).path)
    assert (answer.status, answer.err) == (0, "")


def test_a_read_only_store_is_not_run_into(
    mfscale_here: Command, copied: Store, study_file: Path, mount: Mount
) -> None:
    before = content(copied)
    path = read_only(copied, mount).path
    for command in (["run", study_file, "--cpus", "1"], ["gc", "--yes"]):
        answer = mfscale_here(*command, "--store", path)
        assert answer.status == 2
        said = answer.err.splitlines()[-1]
        assert said.startswith(f"error: {path} cannot be written to (Read-only file system)")
        assert "Traceback" not in answer.err
    assert content(copied) == before


def test_a_damaged_row_of_a_read_only_store_stays(
    mfscale_here: Command, copied: Store, mount: Mount
) -> None:
    damaged = copied.path / "results.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-9])
    answer = mfscale_here("results", "--store", read_only(copied, mount).path)
    assert_one_message(answer, "is damaged", "could not be moved out of the way (Read-only file")
    assert damaged.exists()


def test_a_full_disk_loses_no_row(copied: Store, stages: list[Stage], mount: Mount) -> None:
    disk = mount("-t", "tmpfs", "-o", "size=4M", "tmpfs")
    store = Store(shutil.copytree(copied.path, disk / "store"))
    before = store.table()
    ballast = disk / "ballast"
    fill(ballast)
    told = run_one(stages[-1], store)
    assert told["status"] == "failed"
    assert "No space left" in told["reason"]
    assert store.table().equals(before)
    assert not list(disk.rglob("*.tmp"))
    ballast.unlink()
    assert run_one(stages[-1], store)["status"] == "finished"
    assert set(store.statuses().values()) == {"finished"}


def test_a_store_goes_on_where_it_was_moved_to(
    store: Store, stages: list[Stage], tmp_path: Path
) -> None:
    """Nothing in it names where it was, but for the words of messages and logs."""
    elsewhere = Store(shutil.copytree(store.path, tmp_path / "else where" / "é"))
    before = elsewhere.table()
    for row in before.to_pylist():
        assert str(store.path) not in str(row)
    for model in elsewhere.path.rglob("model.safetensors"):
        assert str(store.path).encode() not in model.read_bytes()
    assert run_one(stages[-1], elsewhere)["status"] == "finished"
    elsewhere.compact()
    rows = {row["stage_id"]: row for row in elsewhere.table().to_pylist()}
    assert rows.keys() == {stage.id for stage in stages}
    assert all(rows[row["stage_id"]] == row for row in before.to_pylist())
    assert not model_of(store, stages[-1]).exists()

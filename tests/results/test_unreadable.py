"""What cannot be read just now is named and left alone: it may well be whole."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from mfscale.results import Store, StoreError
from mfscale.results.rows import row_table

Row = dict[str, object]

NO_READABLE_BYTES = Path("/proc/self/mem")  # reading it from its start fails with EIO
READS = [Store.table, Store.statuses, Store.compact, lambda store: store.next_attempt("x")]


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def folder(path: Path) -> None:
    path.mkdir()
    (path / "notes.txt").write_text("mine")


def dangling(path: Path) -> None:
    path.symlink_to("not-mounted")


def failing_disk(path: Path) -> None:
    if not NO_READABLE_BYTES.exists():
        pytest.skip("no file of which reading fails")
    path.symlink_to(NO_READABLE_BYTES)


def forbidden(path: Path) -> None:
    path.touch(mode=0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")


@pytest.mark.parametrize("place", ["inbox/x-0.parquet", "results.parquet"])
@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (loop, r"symbolic links\); nothing was moved: check"),
        (folder, r"directory\); nothing was moved: no folder belongs there"),
        (dangling, r"No such file.*\); nothing was moved: check its permissions, links"),
        (failing_disk, r"Input/output error\); nothing was moved: check"),
        (forbidden, r"Permission denied\); nothing was moved: check its permissions"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_and_stays(
    place: str,
    make: Callable[[Path], None],
    complaint: str,
    store: Store,
    brief_row: Callable[..., Row],
) -> None:
    whole = Path(store.publish(brief_row()))
    path = store.path / place
    make(path)
    for read in READS:
        with pytest.raises(StoreError, match=rf"^{path} cannot be read \(.*{complaint}"):
            read(store)
    assert os.path.lexists(path)
    assert whole.exists()
    assert not (store.path / "set-aside").exists()
    path.rename(store.path.parent / "elsewhere")
    assert store.statuses() == {"aa11": "finished"}


@pytest.mark.parametrize("make", [loop, Path.touch])
def test_an_inbox_that_cannot_be_listed_is_named(
    make: Callable[[Path], None], store: Store
) -> None:
    inbox = store.path / "inbox"
    make(inbox)
    for read in READS:
        with pytest.raises(StoreError, match=rf"^{inbox} cannot be read \(.*nothing was moved"):
            read(store)
    assert os.path.lexists(inbox)


def test_logs_that_cannot_be_listed_are_named(store: Store) -> None:
    """Else the next attempt could take the number, and the log, of an older one."""
    loop(store.path / "logs")
    with pytest.raises(StoreError, match=rf"^{store.path / 'logs'} cannot be read"):
        store.next_attempt("aa11")


def test_damage_and_an_unreadable_file_are_told_apart_in_one_message(
    store: Store, brief_row: Callable[..., Row]
) -> None:
    damaged = Path(store.publish(brief_row()))
    damaged.write_bytes(b"junk")
    unreadable = store.path / "inbox" / "x-0.parquet"
    loop(unreadable)
    with pytest.raises(StoreError) as raised:
        store.table()
    first, second = str(raised.value).splitlines()
    assert first.startswith(f"{damaged} is damaged")
    assert second.startswith(f"{unreadable} cannot be read")
    assert not damaged.exists()
    assert os.path.lexists(unreadable)


def test_a_curve_that_cannot_be_read_stays(store: Store) -> None:
    path = store.path / "curves" / "aa11.parquet"
    path.mkdir(parents=True)
    with pytest.raises(StoreError, match=rf"^{path} cannot be read \(Is a directory\)"):
        store.curve("aa11")
    assert path.is_dir()


SHORT_OF_MEMORY = """
import resource, sys
from pathlib import Path
from mfscale.results import Store, StoreError, read_table
store = Store(sys.argv[1])
assert store.statuses() == {"aa11": "finished"}  # what reading needs is loaded and started
place = store.path / "results.parquet"
Path(sys.argv[2]).rename(place)
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + 150 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for read in (store.table, lambda: read_table(place)):
    try:
        read()
    except StoreError as error:
        print(error)
"""


def sparse(path: Path) -> None:
    """Make a file of 1 GiB: too large to read."""
    with path.open("wb") as file:
        file.write(b"PAR1")
        file.truncate(2**30)


def dense(path: Path) -> None:
    """Make a small file whose one long text is too large to decode."""
    row = {"stage_id": "bb22", "attempt": 0, "status": "failed", "purpose": "science"}
    table = row_table(row | {"reason": "x" * (200 * 2**20)})
    pq.write_table(table, path, compression="zstd", use_dictionary=False, write_statistics=False)
    assert path.stat().st_size < 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
@pytest.mark.parametrize(
    ("make", "as_table"),
    [
        (sparse, "is neither CSV nor Parquet"),  # known from its last bytes, without reading it all
        (dense, "cannot be read: it needs more memory than there is"),
    ],
)
def test_too_little_memory_is_no_damage(
    make: Callable[[Path], None],
    as_table: str,
    store: Store,
    tmp_path: Path,
    brief_row: Callable[..., Row],
) -> None:
    store.publish(brief_row())
    make(tmp_path / "large")
    size = (tmp_path / "large").stat().st_size
    command = [sys.executable, "-c", SHORT_OF_MEMORY, str(store.path), str(tmp_path / "large")]
    environment = os.environ | {"ARROW_DEFAULT_MEMORY_POOL": "system"}  # reserves none ahead
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    place = store.path / "results.parquet"
    of_store, of_table = done.stdout.splitlines()
    assert of_store.startswith(f"{place} cannot be read (out of memory); nothing was moved: free")
    assert of_table.startswith(f"{place} {as_table}")
    assert place.stat().st_size == size
    assert not (store.path / "set-aside").exists()

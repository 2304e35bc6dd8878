"""Kills, races and damaged files lose nothing that was published whole."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfscale.results import Store, StoreError, files

Row = dict[str, object]

PUBLISH_FOREVER = """
import itertools, sys
from mfscale.results import Store
store = Store(sys.argv[1])
for i in itertools.count():
    store.publish({"stage_id": f"s{i}", "attempt": 0, "status": "finished", "purpose": "science",
                   "steps": i, "warnings": ["w" * 1000] * 50})
    print(i, flush=True)
    if i % 20 == 19:
        store.compact()
"""


@pytest.mark.parametrize("delay_s", [0.013, 0.101, 0.222])
def test_a_kill_while_publishing_and_compacting_leaves_whole_rows(
    store: Store, delay_s: float
) -> None:
    command = [sys.executable, "-c", PUBLISH_FOREVER, str(store.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay_s)
        os.kill(process.pid, signal.SIGKILL)
        announced = 1 + len(process.stdout.read().split())
    assert process.returncode == -signal.SIGKILL
    rows = store.table().to_pylist()
    assert announced <= len(rows) <= announced + 1
    assert {row["stage_id"] for row in rows} == {f"s{i}" for i in range(len(rows))}
    assert all(row["warnings"] == ["w" * 1000] * 50 for row in rows)
    assert store.compact() == len(rows)


def test_a_crash_between_the_compacted_file_and_emptying_the_inbox_is_harmless(
    store: Store, tmp_path: Path, brief_row: Callable[..., Row]
) -> None:
    for i in range(3):
        store.publish(brief_row(f"s{i}", status="failed", steps=i))
        store.publish(brief_row(f"s{i}", attempt=1, steps=10 + i))
    before = store.table()
    shutil.copytree(store.path / "inbox", tmp_path / "inbox")
    store.compact()
    assert not list((store.path / "inbox").iterdir())
    for path in (tmp_path / "inbox").iterdir():
        shutil.copy(path, store.path / "inbox")  # the files that a crash would have left
    assert store.table().equals(before)
    assert store.compact() == 3
    assert store.table().equals(before)


def test_two_drivers_compact_one_after_the_other(
    store: Store, brief_row: Callable[..., Row]
) -> None:
    """Else the slower one would replace the rows of the faster, whose inbox is gone by then."""
    path = Path(store.publish(brief_row()))
    second = threading.Thread(target=store.compact)
    with files.locked(store.path / "compact.lock"):
        second.start()
        second.join(timeout=0.3)
        assert second.is_alive()
        assert path.exists()
    second.join(timeout=10)
    assert not path.exists()


def test_a_killed_holder_of_the_lock_blocks_nobody(
    store: Store, brief_row: Callable[..., Row]
) -> None:
    code = (
        "import sys, time, pathlib; from mfscale.results import files\n"
        "with files.locked(pathlib.Path(sys.argv[1])): print(flush=True); time.sleep(60)"
    )
    lock = store.path / "compact.lock"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(lock)], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        holder.kill()
    store.publish(brief_row())
    assert store.compact() == 1


PUBLISH_AND_COMPACT = """
import sys
from mfscale.results import Store
store, worker = Store(sys.argv[1]), int(sys.argv[2])
for i in range(15):
    shared = {"attempt": 0, "status": "finished", "purpose": "science", "steps": i}
    store.publish({"stage_id": f"own-{worker}-{i}"} | shared)
    store.publish({"stage_id": f"shared-{i}", "seed": worker} | shared)
    if i % 5 == worker:
        store.compact()
"""


def test_workers_that_publish_and_compact_at_once_lose_nothing(store: Store) -> None:
    workers = [
        subprocess.Popen([sys.executable, "-c", PUBLISH_AND_COMPACT, str(store.path), str(worker)])
        for worker in range(3)
    ]
    assert [process.wait() for process in workers] == [0, 0, 0]
    expected = {f"shared-{i}" for i in range(15)}
    expected |= {f"own-{worker}-{i}" for worker in range(3) for i in range(15)}
    assert set(store.statuses()) == expected
    assert store.compact() == len(expected)


def test_a_reader_never_misses_a_row_while_it_is_compacted(
    store: Store, brief_row: Callable[..., Row]
) -> None:
    published: list[str] = []

    def drive() -> None:
        for i in range(60):
            stage_id = f"s{i}"
            store.publish(brief_row(stage_id))
            published.append(stage_id)
            if i % 2:
                store.compact()

    driver = threading.Thread(target=drive)
    driver.start()
    while driver.is_alive():
        known = set(published)
        assert known <= set(store.statuses())
    driver.join()
    assert len(store.statuses()) == 60


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_truncated_row_is_set_aside_and_named(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = Store(tmp_path_factory.mktemp("store"), create=True)
    row = {"attempt": 0, "status": "finished", "purpose": "science"}
    whole = Path(store.publish({"stage_id": "whole"} | row))
    damaged = Path(store.publish({"stage_id": "damaged"} | row))
    content = damaged.read_bytes()
    cut = content[: data.draw(st.integers(0, len(content) - 1))]
    damaged.write_bytes(cut)
    with pytest.raises(StoreError, match="running the study again redoes") as raised:
        store.table()
    aside = store.path / "set-aside" / "inbox" / damaged.name
    assert str(damaged) in str(raised.value)
    assert str(aside) in str(raised.value)
    assert aside.read_bytes() == cut
    assert whole.exists()
    assert store.statuses() == {"whole": "finished"}


@pytest.mark.parametrize("content", [b"", b"PAR1", b"a,b\n1,2\n", b"PAR1" + bytes(1000) + b"PAR1"])
def test_a_damaged_compacted_file_is_set_aside_and_the_inbox_remains(
    content: bytes, store: Store, brief_row: Callable[..., Row]
) -> None:
    store.publish(brief_row("old"))
    store.compact()
    store.publish(brief_row("new"))
    (store.path / "results.parquet").write_bytes(content)
    with pytest.raises(StoreError, match=r"results\.parquet is damaged .*set-aside/results"):
        store.compact()
    assert (store.path / "set-aside" / "results.parquet").read_bytes() == content
    assert store.statuses() == {"new": "finished"}
    (store.path / "results.parquet").write_bytes(content)  # a second one does not replace the first
    with pytest.raises(StoreError):
        store.table()
    assert len(list((store.path / "set-aside").iterdir())) == 2
    assert store.compact() == 1


def test_a_flipped_bit_in_a_value_is_noticed(store: Store, brief_row: Callable[..., Row]) -> None:
    path = Path(store.publish(brief_row(reason="the quick brown fox")))
    content = path.read_bytes()
    assert content.count(b"quick") == 1
    path.write_bytes(content.replace(b"quick", b"quack"))
    with pytest.raises(StoreError, match="set-aside"):
        store.table()


def test_several_damaged_files_are_named_at_once(
    store: Store, brief_row: Callable[..., Row]
) -> None:
    paths = [Path(store.publish(brief_row(stage_id))) for stage_id in ("a", "b", "c")]
    for path in paths[:2]:
        path.write_bytes(b"junk")
    with pytest.raises(StoreError) as raised:
        store.statuses()
    assert all(str(path) in str(raised.value) for path in paths[:2])
    assert store.statuses() == {"c": "finished"}


def test_a_damaged_curve_is_set_aside(store: Store) -> None:
    import pyarrow as pa

    path = Path(store.publish_curve("aa11", pa.table({"step": [1]})))
    path.write_bytes(b"junk")
    with pytest.raises(
        StoreError, match=r"damaged .*set-aside/curves/aa11\.parquet; the row .* is not affected"
    ):
        store.curve("aa11")
    assert not path.exists()

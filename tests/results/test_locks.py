"""Runs share a store; what deletes from it wants it alone."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from mfscale.results import Store, StoreError

HOLD = (
    "import sys, time; from mfscale.results import Store\n"
    "with Store(sys.argv[1]).in_use():\n"
    "    print('held', flush=True); time.sleep(60)\n"
)


def test_runs_go_side_by_side_and_nobody_deletes_meanwhile(store: Store) -> None:
    assert not store.is_used()
    with store.in_use(), Store(store.path).in_use():
        assert store.is_used()
        with pytest.raises(StoreError, match=r"a run is using .*; wait"), store.alone():
            pytest.fail("alone beside a run")
    with store.alone():
        assert store.is_used()
    assert not store.is_used()


def test_the_lock_of_a_run_that_is_killed_is_free(store: Store) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(store.path)], stdout=subprocess.PIPE
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"held\n"
        assert store.is_used()
        run.kill()
        run.wait()
    with store.alone():
        pass


def test_waiting_for_a_lock_changes_no_error_of_the_work(store: Store) -> None:
    with pytest.raises(BlockingIOError, match="the work's own"), store.alone():
        raise BlockingIOError("the work's own")


def test_a_store_nobody_may_write_to_is_said(store: Store) -> None:
    (store.path / "run.lock").mkdir()
    began = time.monotonic()
    for hold in (store.in_use, store.alone):
        with pytest.raises(StoreError, match="cannot be written to"), hold():
            pytest.fail("without a lock")
    assert time.monotonic() - began < 5


def test_looking_writes_nothing(store: Store) -> None:
    before = sorted(Path(store.path).rglob("*"))
    assert not store.is_used()
    assert sorted(Path(store.path).rglob("*")) == before

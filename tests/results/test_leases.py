"""Locks of a store in object storage: held by one, freed by the dead, given up by who lost them."""

import json
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from mfscale.results import Store, StoreError, leases, turn

HOLD = """
import sys, time
from mfscale.results import Store, turn
with Store(sys.argv[1]).in_use(), turn(Store(sys.argv[1]), "a", give_up=lambda: True) as held:
    print(held is not None, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def remote(bucket: str) -> Store:
    return Store(f"{bucket}/store", create=True)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases of seconds, not of a minute."""
    for name, seconds in (("LEASE_S", 2.0), ("RENEW_S", 0.4), ("POLL_S", 0.2)):
        monkeypatch.setattr(leases, name, seconds)


def hold(store: Store) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(store)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "True"
    return process


def lease_of_another_machine(store: Store, name: str, **more: Any) -> None:  # noqa: ANN401
    said = {"owner": "other", "host": "far", "pid": 1, "machine": "far", "began": "1", **more}
    store.place.put(name, json.dumps(said).encode())


def test_a_stage_is_held_by_one_and_free_when_that_one_is_killed(remote: Store) -> None:
    with hold(remote) as holder:
        with turn(remote, "a", give_up=lambda: True) as held:
            assert held is None
        with turn(remote, "b", give_up=lambda: True) as held:
            assert held is not None
        with pytest.raises(StoreError, match=r"a run is using s3://.*; wait"), remote.alone():
            pytest.fail("alone beside a run")
        assert remote.is_used()
        holder.kill()
        holder.wait()
        began = time.monotonic()
        with turn(remote, "a", give_up=lambda: False) as held:
            assert held is not None
        with remote.alone():
            assert remote.is_used()
        assert time.monotonic() - began < leases.LEASE_S / 2  # at once, not when it runs out
    assert not remote.is_used()
    assert not remote.place.tree("leases")


@pytest.mark.usefixtures("quick")
def test_a_lease_that_nobody_renews_is_taken_over(remote: Store) -> None:
    lease_of_another_machine(remote, "leases/stages/a.json")
    asked = []
    with turn(remote, "a", give_up=lambda: bool(asked.append(1))) as held:
        assert held is not None
        assert held.confirmed()
    assert asked  # it did wait


@pytest.mark.usefixtures("quick")
def test_a_lease_that_is_renewed_is_left(remote: Store) -> None:
    """Also one of another machine, whose processes cannot be asked."""
    over = threading.Event()

    def renew() -> None:
        count = 0
        while not over.wait(0.3):
            count += 1
            lease_of_another_machine(remote, "leases/runs/far.json", written=count)

    lease_of_another_machine(remote, "leases/runs/far.json")
    thread = threading.Thread(target=renew)
    thread.start()
    try:
        with pytest.raises(StoreError, match="a run is using"), remote.alone():
            pytest.fail("alone beside a run of another machine")
        assert remote.is_used()
    finally:
        over.set()
        thread.join()
    with remote.alone():
        assert list(remote.place.tree("leases")) == ["leases/alone/lease.json"]


@pytest.mark.usefixtures("quick")
def test_who_lost_a_lease_is_told_and_leaves_it_to_its_new_holder(remote: Store) -> None:
    name = "leases/stages/a.json"
    with turn(remote, "a", give_up=lambda: True) as held:
        assert held is not None
        assert not held.lost()
        lease_of_another_machine(remote, name)
        assert not held.confirmed()
        assert held.lost()
    assert json.loads(remote.place.get(name).to_pybytes())["owner"] == "other"


@pytest.mark.usefixtures("quick")
def test_a_holder_keeps_its_lease_for_longer_than_it_lasts(remote: Store) -> None:
    with turn(remote, "a", give_up=lambda: True) as held:
        assert held is not None
        time.sleep(2 * leases.LEASE_S)
        assert not held.lost()
        assert held.confirmed()


def test_runs_go_side_by_side(remote: Store) -> None:
    with remote.in_use(), Store(str(remote)).in_use():
        assert remote.is_used()
    assert not remote.is_used()


def test_a_foreign_object_in_the_place_of_a_lease_is_taken_over(
    remote: Store,
    quick: None,  # noqa: ARG001
) -> None:
    remote.place.put("leases/stages/a.json", b"[not a lease")
    with turn(remote, "a", give_up=lambda: False) as held:
        assert held is not None

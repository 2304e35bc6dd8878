"""One process at a time trains a stage."""

import subprocess
import sys
import time

from mfscale.results import Store, turn

HOLD = (
    "import sys, time; from mfscale.results import Store, turn\n"
    "with turn(Store(sys.argv[1]), 'a', give_up=lambda: True) as held:\n"
    "    print(held is not None, flush=True); time.sleep(60)\n"
)


def hold(store: Store) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", HOLD, str(store.path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def said(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_stage_is_held_by_one_and_others_are_free(store: Store) -> None:
    with hold(store) as first:
        assert said(first) == "True"
        with hold(store) as second:
            assert said(second) == "False"
            second.kill()
        with turn(store, "b", give_up=lambda: True) as ours:
            assert ours
        first.kill()


def test_who_waits_has_its_turn_when_the_holder_is_killed(store: Store) -> None:
    with hold(store) as holder:
        assert said(holder) == "True"
        asked = []

        def kill_and_wait() -> bool:
            asked.append(holder.kill())
            return False

        began = time.monotonic()
        with turn(store, "a", give_up=kill_and_wait) as ours:
            assert ours
        assert asked
        assert time.monotonic() - began < 10

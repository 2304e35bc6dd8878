"""Whose turn a stage is: of all processes that want to train it, one does, and the others wait.

Two runs on one store, or a run and a worker that outlived its killed driver, thus never write to
the same checkpoints, and what one has finished the other finds finished.
"""

import fcntl
import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from mfscale.results.store import Store

LOCK = "stages.lock"
_POLL_S = 0.1


@contextmanager
def turn(store: Store, stage_id: str, *, give_up: Callable[[], bool]) -> Iterator[bool]:
    """Hold a stage while the block runs; the system frees it if the holder dies.

    Parameters
    ----------
    store, stage_id
        The stage.
    give_up
        Asked while another process holds it: whether to wait no longer.

    Yields
    ------
    bool
        Whether the stage is held; false if `give_up` said so.
    """
    # One byte of one file a stage: there is nothing to clean up. The chance that two of a million
    # stages share a byte is 1e-7, and they would merely wait for each other.
    place = int.from_bytes(hashlib.sha256(stage_id.encode()).digest()[:8], "big") >> 2
    with (store.path / LOCK).open("a") as file:
        held = _try(file.fileno(), place)
        while not held and not give_up():
            time.sleep(_POLL_S)
            held = _try(file.fileno(), place)
        yield held


def _try(descriptor: int, place: int) -> bool:
    with suppress(BlockingIOError, PermissionError):  # POSIX lets a system choose between the two
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        return True
    return False

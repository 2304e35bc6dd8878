"""Whose turn a stage is: of all processes that want to train it, one does, and the others wait.

Two runs on one store, or a run and a worker that outlived its killed driver, thus never write to
the same checkpoints, and what one has finished the other finds finished.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mfscale.results.place import Held
from mfscale.results.store import Store


@contextmanager
def turn(store: Store, stage_id: str, *, give_up: Callable[[], bool]) -> Iterator[Held | None]:
    """Hold a stage while the block runs; it is free again if the holder dies.

    Parameters
    ----------
    store, stage_id
        The stage.
    give_up
        Asked while another process holds it: whether to wait no longer.

    Yields
    ------
    Held | None
        The stage as held; None if `give_up` said so.
    """
    with store.place.turn(stage_id, give_up) as held:
        yield held

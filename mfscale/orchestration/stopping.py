"""Signals that end a run: the first lets stages save their progress, the second leaves at once."""

import _thread
import os
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from mfscale.results import Store

GRACE_S, LEAVE_S = 15.0, 10.0
"""How long stages have to save their progress, between steps, and then Ray to end.

Together short of the 30 s after which cluster managers kill what they have asked to end.
"""
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """A run that leaves at once because of a signal."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Stopping:
    """Whether a run has been asked to stop, told to its workers by a file in the store.

    Parameters
    ----------
    store
        Where the file will be, for workers of all machines to see.
    ask
        Called with the number of the first signal, beside the main thread.

    Attributes
    ----------
    flag
        What the store calls the file.
    """

    def __init__(self, store: Store, ask: Callable[[int], None]) -> None:
        self.flag = f".stop-{uuid.uuid4().hex}"
        self._place = store.place
        self._ask = ask
        self._first: int | None = None
        self._over = threading.Event()
        self._left = threading.Event()

    @contextmanager
    def leaving(self) -> Iterator[None]:
        """End the process if the block has not been left in time after a signal.

        As when the signal went to Ray's processes too, without which its calls wait for a minute.
        """
        try:
            yield
        finally:
            self._left.set()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM for requests while the block runs.

        Raises
        ------
        Stopped
            At the second signal, and if stages have not stopped `GRACE_S` after the first.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._receive) for number in SIGNALS}
        try:
            yield
        finally:
            self._over.set()
            for number, handler in before.items():
                signal.signal(number, handler)
            with suppress(OSError):
                if self._first is not None:
                    self._place.delete([self.flag])

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self._first is not None:
            raise Stopped(self._first)
        self._first = number
        threading.Thread(target=self._see_to_it, args=(number,), daemon=True).start()

    def _see_to_it(self, number: int) -> None:
        with suppress(OSError):  # then stages go on, and are left when the time is over
            self._place.put(self.flag, b"")
        with suppress(Exception):  # whoever would be told may be gone: a terminal that was closed
            self._ask(number)
        if not self._over.wait(GRACE_S):
            _thread.interrupt_main(signal.SIGINT)
        if not self._left.wait(LEAVE_S):
            os._exit(128 + number)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold signals back until the block is through: Ray crashes when they come while it starts.

    Raises
    ------
    Stopped
        After the block, if any came.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    before = {n: signal.signal(n, lambda number, _: held.append(number)) for n in SIGNALS}
    try:
        yield
    except SystemExit as error:  # Ray's own answer to SIGTERM, from the middle of its start
        held.append(error.code if isinstance(error.code, int) else signal.SIGTERM)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if held:
        raise Stopped(held[0])

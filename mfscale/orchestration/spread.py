"""A function spread over Ray: pieces of work handed out as cores become free."""

import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

from mfscale.orchestration.cluster import LOCAL, OrchestrationError, connected
from mfscale.orchestration.scratch import scratch
from mfscale.orchestration.stopping import LEAVE_S, SIGNALS, Stopped

P = TypeVar("P")
R = TypeVar("R")

_LOOK_S = 0.5


class Spread:
    """Calls a function on pieces of work, one on each core at a time.

    SIGINT (Ctrl-C) or SIGTERM ends the iteration early; what is being computed is lost.

    Parameters
    ----------
    cpus
        Cores to use at most; all if None.
    address
        Of a Ray cluster, as `connected` takes it.
    on_stop
        Told the number of the signal.

    Attributes
    ----------
    stopped_by
        Number of the signal that ended it, if one did.
    """

    def __init__(
        self,
        cpus: int | None = None,
        *,
        address: str = LOCAL,
        on_stop: Callable[[int], None] = lambda _: None,
    ) -> None:
        if cpus is not None and cpus < 1:
            raise OrchestrationError(f"cannot run on {cpus} CPUs; give at least --cpus 1")
        self._cpus = cpus
        self._address = address
        self._on_stop = on_stop
        self.stopped_by: int | None = None

    def __call__(
        self, function: Callable[[P], R], take: Callable[[], P | None]
    ) -> Generator[tuple[P, R | None], None, None]:
        """Pieces with their results as they come; None for a piece whose worker died.

        Parameters
        ----------
        function
            Is sent to workers, and so is each piece. What it raises is raised here.
        take
            The next piece, None if there is none now; asked again after each result.
        """
        try:
            with (
                self._watching(),
                scratch() as folder,
                connected(self._address, self._cpus, 0, folder) as slots,
            ):
                yield from self._work(function, take, slots.cpus)
        except Stopped as stop:  # while Ray started or ended
            self.stopped_by = self.stopped_by or stop.number

    def _work(
        self, function: Callable[[Any], Any], take: Callable[[], Any], cpus: int
    ) -> Generator[tuple[Any, Any], None, None]:
        import ray  # noqa: PLC0415 - see cluster.py
        from ray.exceptions import (  # noqa: PLC0415 - likewise
            OutOfMemoryError,
            RayTaskError,
            WorkerCrashedError,
        )

        def call(piece: Any) -> Any:  # noqa: ANN401 - a function itself, which Ray asks for
            return function(piece)

        remote: Any = ray.remote(num_cpus=1, max_retries=0)(call)
        running: dict[Any, Any] = {}
        while self.stopped_by is None:
            while len(running) < cpus and (piece := take()) is not None:
                running[remote.remote(piece)] = piece
            if not running:
                return
            done, _ = ray.wait(list(running), timeout=_LOOK_S)
            for reference in done:
                piece = running.pop(reference)
                try:
                    result = ray.get(reference)
                except RayTaskError as error:
                    raise error.cause from None
                except (WorkerCrashedError, OutOfMemoryError):
                    result = None
                yield piece, result
        for reference in running:
            ray.cancel(reference, force=True)

    @contextmanager
    def _watching(self) -> Iterator[None]:
        """Remember the first SIGINT or SIGTERM; leave by force if Ray does not end in time."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        left = threading.Event()

        def receive(number: int, _frame: FrameType | None) -> None:
            if self.stopped_by is None:
                self.stopped_by = number
                threading.Thread(target=leave, args=(number,), daemon=True).start()

        def leave(number: int) -> None:
            self._on_stop(number)
            if not left.wait(LEAVE_S):
                os._exit(128 + number)

        before = {number: signal.signal(number, receive) for number in SIGNALS}
        try:
            yield
        finally:
            left.set()
            for number, handler in before.items():
                signal.signal(number, handler)

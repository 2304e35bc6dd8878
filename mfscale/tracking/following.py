"""Tell a tracker of stages as they end, beside the run, which waits for nothing here."""

import queue
import threading
from collections.abc import Callable

from mfscale.tracking.errors import TrackingError, told_by
from mfscale.tracking.tracked import TrackedStage
from mfscale.tracking.trackers import Opener


class Follower:
    """Writes stages to one tracker in a thread of its own.

    The first failure ends it, told once: a tracker that cannot be reached costs a run nothing.

    Parameters
    ----------
    name
        The tracker's, for messages.
    opener
        Opens it; its package is loaded already, for two threads that import at once may wait for
        each other.
    read
        Reads what is to be told of a stage; None if nothing is.
    on_trouble
        Told why the tracker gets no more.
    """

    def __init__(
        self,
        name: str,
        opener: Opener,
        read: Callable[[str], TrackedStage | None],
        on_trouble: Callable[[str], None],
    ) -> None:
        self.name = name
        self.written = 0
        self.place: str | None = None
        self._opener = opener
        self._read = read
        self._on_trouble = on_trouble
        self._ended: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._follow, name=f"track {name}", daemon=True)
        self._thread.start()

    def ended(self, stage_id: str) -> None:
        """Take note of a stage that has ended; returns at once."""
        self._ended.put(stage_id)

    def close(self, patience_s: float) -> None:
        """Let it write what is left, for a while at most."""
        self._ended.put(None)
        self._thread.join(patience_s)
        if self._thread.is_alive():
            self._on_trouble(f"{self.name} has not answered for {patience_s:.0f} s")

    def _follow(self) -> None:
        try:
            with told_by(self.name):
                tracker = self._opener(None, None)
                self.place = tracker.place
                while (stage_id := self._ended.get()) is not None:
                    if (stage := self._read(stage_id)) is not None:
                        self.written += tracker.write(stage)
                tracker.close()
        except TrackingError as error:
            self._on_trouble(str(error))

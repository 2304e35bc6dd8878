"""Compact the store beside a run, so that readers meet few files however many stages end."""

import subprocess
import sys
import threading

from mfscale.results import Store

MOST = 500
"""Rows that wait to be compacted; of a store of many rows, as many as one in `SHARE`."""
SHARE = 100


class Compaction:
    """Compacts a store in a process of its own whenever enough rows have come.

    In the driver's it would keep the driver from its stages, and leave it large.

    Parameters
    ----------
    store
        The store; other runs may compact it too.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._new = 0
        self._rows = 0
        self._thread: threading.Thread | None = None

    def row_came(self) -> None:
        """Count a row, and start compacting if it is time and the last time is over."""
        self._new += 1
        idle = self._thread is None or not self._thread.is_alive()
        if idle and self._new >= max(MOST, self._rows // SHARE):
            self._new = 0
            self._thread = threading.Thread(target=self._compact, daemon=True)
            self._thread.start()

    def finish(self) -> str | None:
        """Compact what is left, when what was started is over; why it failed, if it did.

        Then the rows stay in the inbox, where all read them.
        """
        if self._thread is not None:
            self._thread.join()
        return self._compact()

    def _compact(self) -> str | None:
        command = [sys.executable, "-m", "mfscale.results.compactor", self._store.address]
        # Out of reach of a Ctrl-C: the run waits for it, and a killed run's ends by itself.
        done = subprocess.run(  # noqa: S603 - our own module
            command, capture_output=True, text=True, check=False, start_new_session=True
        )
        if done.returncode == 0:
            self._rows = int(done.stdout)
            return None
        return next(iter(done.stderr.strip().splitlines()[-1:]), f"exit {done.returncode}")

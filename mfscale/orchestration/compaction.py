"""Compact the store beside a run, so that readers meet few files however many stages end."""

import threading

import pyarrow as pa

from mfscale.results import Store, StoreError

MOST = 500
"""Rows that wait to be compacted; of a store of many rows, as many as one in `SHARE`."""
SHARE = 100


class Compaction:
    """Compacts a store in a thread of its own whenever enough rows have come.

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

    def wait(self) -> None:
        """Wait until what was started is over."""
        if self._thread is not None:
            self._thread.join()

    def _compact(self) -> None:
        try:
            self._rows = self._store.compact()
        except StoreError:  # the rows stay where all read them; the end of the run tries again
            return
        finally:
            pa.default_memory_pool().release_unused()  # or the run keeps it to its end

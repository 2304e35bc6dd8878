"""What the results room raises, and how it words that a disk or a network fails."""

import errno
from pathlib import Path


class StoreError(ValueError):
    """A store, row, table or query that cannot be used; the message says why and what to do."""


class StorageError(OSError):
    """Object storage that does not do what it is asked to.

    Attributes
    ----------
    remedy
        What may put it right.
    """

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(errno.EIO, reason)
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.strerror}; {self.remedy}"


def unreadable(where: str | Path, error: OSError | MemoryError) -> StoreError:
    """Word why a file or folder that may well be whole cannot be read."""
    reason, remedy = "out of memory", "free some memory and try again"
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        remedy = "check its permissions, links and disk and try again"
    if isinstance(error, IsADirectoryError):
        remedy = "no folder belongs there, so move it elsewhere"
    if isinstance(error, StorageError):
        remedy = error.remedy
    return StoreError(f"{where} cannot be read ({reason}); nothing was moved: {remedy}")


def unwritable(where: str | Path, error: OSError) -> StoreError:
    """Word why a place cannot be written to."""
    remedy = "check its permissions and disk"
    if isinstance(error, StorageError):
        remedy = error.remedy
    return StoreError(f"{where} cannot be written to ({error.strerror}); {remedy}")

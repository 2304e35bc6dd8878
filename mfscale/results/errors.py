"""What the results room raises, and how it words that a file system fails."""

from pathlib import Path


class StoreError(ValueError):
    """A store, row, table or query that cannot be used; the message says why and what to do."""


def unreadable(path: Path, error: OSError | MemoryError) -> StoreError:
    """Word why a file or folder that may well be whole cannot be read."""
    reason, remedy = "out of memory", "free some memory and try again"
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        remedy = "check its permissions, links and disk and try again"
    if isinstance(error, IsADirectoryError):
        remedy = "no folder belongs there, so move it elsewhere"
    return StoreError(f"{path} cannot be read ({reason}); nothing was moved: {remedy}")


def unwritable(path: Path, error: OSError) -> StoreError:
    """Word why a folder cannot be written to."""
    return StoreError(
        f"{path} cannot be written to ({error.strerror}); check its permissions and disk"
    )

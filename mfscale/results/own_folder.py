"""Folders of a process's own; what killed processes left is cleared away."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_HELD = "held"


@contextmanager
def own_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A folder in `parent` that nobody else may enter, deleted afterwards.

    Those of the same user and prefix whose process was killed are deleted by the next.

    Raises
    ------
    OSError
        If there can be none.
    """
    _clear(parent, prefix)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        with (folder / f".{_HELD}").open("w") as held:
            fcntl.flock(held, fcntl.LOCK_SH)
            (folder / f".{_HELD}").rename(folder / _HELD)  # only now do others look at it
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _clear(parent: Path, prefix: str) -> None:
    """Delete the folders that no process holds any more."""
    for held in parent.glob(f"{prefix}*/{_HELD}"):
        with suppress(OSError):
            if held.parent.lstat().st_uid == os.getuid():
                with held.open() as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(held.parent, ignore_errors=True)

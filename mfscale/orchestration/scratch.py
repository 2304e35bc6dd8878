"""A folder of a run's own for what Ray and Tune write; what killed runs left is cleared away."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mfscale.orchestration.cluster import OrchestrationError

_PREFIX, _HELD = "mfscale-", "held"


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that nobody else may enter, deleted afterwards.

    Not where TMPDIR says, but as Ray has it: names of sockets may have about a hundred characters.
    A folder whose run was killed is deleted by the next one of the same user.

    Raises
    ------
    OrchestrationError
        If there can be none.
    """
    parent = Path(os.environ.get("RAY_TMPDIR", "/tmp"))  # noqa: S108 - the folder is the user's own
    _clear(parent)
    try:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    except OSError as error:
        raise OrchestrationError(
            f"{parent}: Ray needs a folder there ({error.strerror}); name another: RAY_TMPDIR=…"
        ) from None
    try:
        with (folder / f".{_HELD}").open("w") as held:
            fcntl.flock(held, fcntl.LOCK_SH)
            (folder / f".{_HELD}").rename(folder / _HELD)  # only now do others look at it
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _clear(parent: Path) -> None:
    """Delete the folders that no process holds any more."""
    for held in parent.glob(f"{_PREFIX}*/{_HELD}"):
        with suppress(OSError):
            if held.parent.lstat().st_uid == os.getuid():
                with held.open() as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(held.parent, ignore_errors=True)

"""A folder of a run's own for what Ray and Tune write."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mfscale.orchestration.cluster import OrchestrationError
from mfscale.results import own_folder

_PREFIX = "mfscale-"


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that nobody else may enter, deleted afterwards, or else by the user's next run.

    Not where TMPDIR says, but as Ray has it: names of sockets may have about a hundred characters.

    Raises
    ------
    OrchestrationError
        If there can be none.
    """
    parent = Path(os.environ.get("RAY_TMPDIR", "/tmp"))  # noqa: S108 - the folder is the user's own
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(own_folder(parent, _PREFIX))
        except OSError as error:
            raise OrchestrationError(
                f"{parent}: Ray needs a folder there ({error.strerror}); name another: RAY_TMPDIR=…"
            ) from None
        yield folder

"""What a stage ends in that cannot be trained, or is asked to stop."""

import errno


class TrainingError(ValueError):
    """Labels, a checkpoint or a model file that do not fit; the message names the remedy."""


_TOO_LITTLE_MEMORY = (
    "CUDA out of memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "can't allocate memory",
)
"""What torch says, in errors of no class of their own where it is compiled code that says it."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there was too little memory, of a GPU or of the machine."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    text = str(error)
    return isinstance(error, MemoryError) or any(said in text for said in _TOO_LITTLE_MEMORY)


class Interrupted(Exception):  # noqa: N818 - nothing is wrong
    """A stage that stopped because it was asked to; its progress is on disk."""

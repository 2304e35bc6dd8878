"""What a stage ends in that cannot be trained, or is asked to stop."""

import errno


class TrainingError(ValueError):
    """Labels, a checkpoint or a model file that do not fit; the message names the remedy."""


_TOO_LITTLE_MEMORY = (
    "out of memory",
    "cublas_status_alloc_failed",
    "cublas_status_not_initialized",
    "can't allocate memory",
)
"""What torch says, CUDA's driver, Triton, and cuBLAS where others have filled the GPU."""


_LOST = (
    "illegal memory access",
    "illegal address",
    "device-side assert",
    "unspecified launch failure",
    "uncorrectable ecc error",
    "cuda error: unknown error",
    "misaligned address",
    "hardware stack error",
    "illegal instruction",
)
"""What CUDA says once; from then on it refuses a process everything."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there was too little memory, of a GPU or of the machine."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(said in text for said in _TOO_LITTLE_MEMORY)


def is_lost_gpu(error: BaseException) -> bool:
    """Whether an error says that this process can do nothing more on its GPU."""
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(said in text for said in _LOST)


class Interrupted(Exception):  # noqa: N818 - nothing is wrong
    """A stage that stopped because it was asked to; its progress is on disk."""

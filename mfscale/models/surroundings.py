"""Build networks without a trace: the packages' set-up touches whole processes."""

import contextlib
import os
import random
from collections.abc import Iterator

import numpy as np
import torch

_VARIABLES = ("PL_GLOBAL_SEED", "PL_SEED_WORKERS", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD")
"""NequIP seeds through the first two; MACE's import sets the last, which lets files run code."""


@contextlib.contextmanager
def leaving_no_trace() -> Iterator[None]:
    """Undo what a package's set-up does: seeds, torch's default type, environment variables.

    Whoever loads a model into a simulation would otherwise draw the same random numbers each time.
    What stays is that NequIP has GPUs multiply in full single precision, not in TF32.
    """
    # Torch counts GPUs that it cannot start, too.
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    dtype = torch.get_default_dtype()
    variables = {name: os.environ.get(name) for name in _VARIABLES}
    state = random.getstate()
    numpy_state = np.random.get_state()  # noqa: NPY002 - the generator that is reseeded
    try:
        with torch.random.fork_rng(devices=range(gpus)):
            yield
    finally:
        random.setstate(state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        torch.set_default_dtype(dtype)
        for name, value in variables.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value

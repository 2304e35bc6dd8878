"""Memory that a process shares with others: a limit on a GPU's, and what a stage gives back."""

import gc
import platform

import torch

from mfscale.training.errors import TrainingError
from mfscale.training.potential import forget_networks

CONTEXT_BYTES = 6e8
"""What a process takes of a GPU beside its tensors, for CUDA and its libraries: assumed."""


def confine(share: float) -> None:
    """Take no more than a share of the GPU, so that a stage too large for it hurts no other.

    A share that CUDA itself fills leaves room for nothing, and the stage asks for a larger one.

    Raises
    ------
    TrainingError
        If torch finds no GPU.
    """
    if not torch.cuda.is_available():
        raise TrainingError(
            f"torch {torch.__version__} finds no GPU on {platform.node()}: install one built for "
            "CUDA there, or run without --gpus"
        )
    total = torch.cuda.get_device_properties(0).total_memory
    own = share if share == 1 else max(1e-3, share - CONTEXT_BYTES / total)
    torch.cuda.set_per_process_memory_fraction(own)


def release(*, networks: bool = False) -> None:
    """Give back what no stage holds on to, with the kept `networks` or without."""
    if networks:
        forget_networks()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()

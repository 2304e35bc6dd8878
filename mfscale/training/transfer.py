"""Arrays as tensors where they are computed with."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch


def sent(
    array: npt.NDArray[np.generic], device: torch.device, dtype: torch.dtype | None = None
) -> torch.Tensor:
    """An array as a tensor on `device`, of `dtype` if that is given.

    A GPU fetches it by itself, from memory that is not paged out, and the processor goes on
    meanwhile: to the next batch, while the last is computed with.
    """
    tensor = torch.from_numpy(array).to(dtype)
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def batch_on(
    batch: Mapping[str, npt.NDArray[np.generic]], device: torch.device
) -> dict[str, torch.Tensor]:
    """A batch of arrays as tensors on `device`."""
    return {key: sent(array, device) for key, array in batch.items()}

"""Where a result came from: versions, commit, device, memory."""

import functools
import importlib.metadata
import platform
import resource
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import torch

PACKAGES = (
    "torch",
    "nequip",
    "nequip-allegro",
    "mace-torch",
    "e3nn",
    "cuequivariance-torch",
    "cuequivariance-ops-torch-cu12",
    "cuequivariance-ops-torch-cu13",
    "ray",
    "numpy",
    "matscipy",
    "ase",
    "safetensors",
)


@functools.cache
def versions() -> dict[str, object]:
    """Versions of this package, Python, and the packages a result depends on."""
    found = []
    for name in PACKAGES:
        try:
            found.append({"name": name, "version": importlib.metadata.version(name)})
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "mfscale_version": importlib.metadata.version("mfscale"),
        "git_commit": _commit(),
        "python_version": platform.python_version(),
        "packages": found,
    }


def device_name(device: torch.device) -> str:
    """The processor's or accelerator's own name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu ({platform.machine()})"


def conditions(device: torch.device, started_at: datetime, began: float) -> dict[str, object]:
    """On what, when and how long: `began` by the performance counter."""
    return {
        "device": device_name(device),
        "n_threads": torch.get_num_threads(),
        "started_at": started_at,
        "wall_time_s": time.perf_counter() - began,
        "peak_memory_mb": peak_memory_mb(),
        "peak_gpu_memory_mb": peak_gpu_memory_mb(device),
    }


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far, MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def watch_memory(device: torch.device) -> None:
    """Let `peak_gpu_memory_mb` begin anew."""
    if device.type == "cuda" and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.reset_peak_memory_stats(device)


def peak_gpu_memory_mb(device: torch.device) -> float | None:
    """Most that this process's tensors took of a GPU since it was watched, MB; None off GPUs."""
    return torch.cuda.max_memory_allocated(device) / 1e6 if device.type == "cuda" else None


def _commit() -> str | None:
    """The commit of the checkout this file belongs to, with ``-dirty`` if it has been changed.

    None for an installed package, even one inside somebody else's checkout.
    """
    here = Path(__file__)
    if _git("ls-files", "--error-unmatch", here.name, folder=here.parent) is None:
        return None
    return _git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*", folder=here.parent)


def _git(*arguments: str, folder: Path) -> str | None:
    """What git answers; None if it cannot."""
    try:
        answer = subprocess.run(  # noqa: S603 - our own arguments
            ["git", *arguments],  # noqa: S607 - the user's own git
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None

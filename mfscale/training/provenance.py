"""Where a result came from: versions, commit, device, memory."""

import functools
import importlib.metadata
import platform
import resource
import subprocess
import sys
from pathlib import Path

import torch

PACKAGES = ("torch", "nequip", "e3nn", "ray", "numpy", "matscipy", "ase", "safetensors")


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


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far, MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _commit() -> str | None:
    """The commit of the checkout this package runs from; None for an installed package."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607 - the user's own git
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None

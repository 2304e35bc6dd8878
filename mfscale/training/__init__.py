"""Training: a stage in, a potential on disk and a result row out.

Importing this package is quick, and so is reading the headers of its files; torch loads with the
first use of what needs it.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from mfscale.training.errors import Interrupted, TrainingError, is_lost_gpu, is_out_of_memory
from mfscale.training.header import POTENTIAL, PROGRESS, Header, disagreements, read_header

if TYPE_CHECKING:
    from mfscale.training.adopt import adopt_stage
    from mfscale.training.checkpoint import discard_progress, load_potential
    from mfscale.training.native import export_native
    from mfscale.training.potential import Potential
    from mfscale.training.run import StageResult, run_stage

__all__ = [
    "POTENTIAL",
    "PROGRESS",
    "Header",
    "Interrupted",
    "Potential",
    "StageResult",
    "TrainingError",
    "adopt_stage",
    "disagreements",
    "discard_progress",
    "export_native",
    "is_lost_gpu",
    "is_out_of_memory",
    "load_potential",
    "read_header",
    "run_stage",
]

_LAZY = {
    "Potential": "potential",
    "StageResult": "run",
    "adopt_stage": "adopt",
    "discard_progress": "checkpoint",
    "export_native": "native",
    "load_potential": "checkpoint",
    "run_stage": "run",
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)

"""Training: a stage in, a potential on disk and a result row out."""

from mfscale.training.checkpoint import POTENTIAL, discard_progress, load_potential
from mfscale.training.errors import TrainingError
from mfscale.training.native import export_native
from mfscale.training.potential import Potential
from mfscale.training.run import StageResult, run_stage

__all__ = [
    "POTENTIAL",
    "Potential",
    "StageResult",
    "TrainingError",
    "discard_progress",
    "export_native",
    "load_potential",
    "run_stage",
]

"""Training: a stage in, a potential on disk and a result row out."""

from mfscale.training.checkpoint import POTENTIAL, load_potential
from mfscale.training.errors import TrainingError
from mfscale.training.potential import Potential
from mfscale.training.run import StageResult, run_stage

__all__ = [
    "POTENTIAL",
    "Potential",
    "StageResult",
    "TrainingError",
    "load_potential",
    "run_stage",
]

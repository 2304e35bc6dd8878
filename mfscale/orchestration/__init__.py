"""Orchestration: the stages of a study that a store lacks, run by Ray."""

from mfscale.orchestration.campaign import Ended, missing, without_model
from mfscale.orchestration.cluster import LOCAL, OrchestrationError, cores
from mfscale.orchestration.compiling import Compiling, Cost, Decision
from mfscale.orchestration.driver import Summary, run
from mfscale.orchestration.estimate import (
    GPU_CORES,
    Extent,
    Kind,
    Rates,
    kind_of,
    rates,
    wall_time,
    work_time,
)
from mfscale.orchestration.footprint import Activations, Footprints
from mfscale.orchestration.garbage import Garbage, collect, garbage
from mfscale.orchestration.progress import Progress
from mfscale.orchestration.retry import failures, retried
from mfscale.orchestration.spread import Spread
from mfscale.orchestration.verify import verify

__all__ = [
    "GPU_CORES",
    "LOCAL",
    "Activations",
    "Compiling",
    "Cost",
    "Decision",
    "Ended",
    "Extent",
    "Footprints",
    "Garbage",
    "Kind",
    "OrchestrationError",
    "Progress",
    "Rates",
    "Spread",
    "Summary",
    "collect",
    "cores",
    "failures",
    "garbage",
    "kind_of",
    "missing",
    "rates",
    "retried",
    "run",
    "verify",
    "wall_time",
    "without_model",
    "work_time",
]

"""Orchestration: the stages of a study that a store lacks, run by Ray."""

from mfscale.orchestration.campaign import Ended, missing, without_model
from mfscale.orchestration.cluster import LOCAL, OrchestrationError, cores
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
from mfscale.orchestration.garbage import Garbage, collect, garbage
from mfscale.orchestration.progress import Progress
from mfscale.orchestration.retry import failures, retried
from mfscale.orchestration.verify import verify

__all__ = [
    "GPU_CORES",
    "LOCAL",
    "Ended",
    "Extent",
    "Garbage",
    "Kind",
    "OrchestrationError",
    "Progress",
    "Rates",
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

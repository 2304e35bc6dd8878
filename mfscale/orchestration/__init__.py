"""Orchestration: the stages of a study that a store lacks, run by Ray."""

from mfscale.orchestration.campaign import Ended, missing
from mfscale.orchestration.cluster import OrchestrationError
from mfscale.orchestration.driver import Summary, run
from mfscale.orchestration.estimate import Kind, Rates, kind_of, rates, wall_time
from mfscale.orchestration.progress import Progress

__all__ = [
    "Ended",
    "Kind",
    "OrchestrationError",
    "Progress",
    "Rates",
    "Summary",
    "kind_of",
    "missing",
    "rates",
    "run",
    "wall_time",
]

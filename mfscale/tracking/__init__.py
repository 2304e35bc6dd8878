"""Stages in W&B, MLflow and TensorBoard: settings, learning curves, errors, how they ended.

The store stays the truth; a tracker gets a copy of what people look at. Importing this package is
quick; a tracker's own package loads when it is opened.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from mfscale.tracking.errors import TrackingError
from mfscale.tracking.trackers import TRACKERS, Tracker, load, open_tracker

if TYPE_CHECKING:
    from mfscale.tracking.following import Follower
    from mfscale.tracking.tracked import (
        TRACKED,
        TrackedStage,
        find_curve,
        read_stage,
        tracked_stage,
    )

__all__ = [
    "TRACKED",
    "TRACKERS",
    "Follower",
    "TrackedStage",
    "Tracker",
    "TrackingError",
    "find_curve",
    "load",
    "open_tracker",
    "read_stage",
    "tracked_stage",
]

_LAZY = {
    "Follower": "following",
    "TRACKED": "tracked",
    "TrackedStage": "tracked",
    "find_curve": "tracked",
    "read_stage": "tracked",
    "tracked_stage": "tracked",
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)

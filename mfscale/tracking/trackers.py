"""Which trackers there are, what each needs, and the one interface behind which they stand."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from mfscale.tracking.errors import TrackingError, told_by

if TYPE_CHECKING:
    from mfscale.tracking.tracked import TrackedStage

TRACKERS = ("tensorboard", "wandb", "mlflow")
"""Trackers by the name of their extra, which is that of the package they import."""


class Tracker(Protocol):
    """Where stages are written to, each as one run."""

    place: str
    """Where that is, for people."""

    def write(self, stage: "TrackedStage") -> bool:
        """Write a stage, in the place of what was there of it; false if it was there as it is."""

    def close(self) -> None:
        """Finish what is open."""


Opener = Callable[[str | None, str | None], Tracker]
"""Opens a tracker, given where to and its project, as `open_tracker` takes them."""


def load(name: str) -> Opener:
    """Import a tracker's package.

    Raises
    ------
    TrackingError
        With the command that installs it, if it is missing.
    """
    if find_spec(name) is None:
        raise TrackingError(
            f"{name} is not installed; install it with: pip install 'mfscale[{name}]'"
        )
    with told_by(name):
        if name == "tensorboard":
            from mfscale.tracking.tensorboard import TensorBoard  # noqa: PLC0415 - an extra

            return TensorBoard
        if name == "mlflow":
            from mfscale.tracking.mlflow import MLflow  # noqa: PLC0415 - likewise

            return MLflow
        from mfscale.tracking.wandb import WandB  # noqa: PLC0415 - likewise

        return WandB


def open_tracker(name: str, *, out: str | None = None, project: str | None = None) -> Tracker:
    """Open a tracker.

    Parameters
    ----------
    name
        One of ``TRACKERS``.
    out
        A folder; for MLflow, a tracking URI or a folder. By default what the tracker's own
        variables say (``MLFLOW_TRACKING_URI``, ``WANDB_DIR``), or else ``mfscale-tracking``.
    project
        W&B's project, MLflow's experiment; by default that of the tracker's own variable
        (``WANDB_PROJECT``, ``MLFLOW_EXPERIMENT_NAME``), or else ``mfscale``.

    Raises
    ------
    TrackingError
        If it is not installed, not logged in or not reachable, or has no projects.
    """
    opened = load(name)
    with told_by(name):
        return opened(out, project)

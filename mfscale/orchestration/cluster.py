"""The Ray that stages run on: one of our own on this machine, quiet and closed to others."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from mfscale.orchestration.stopping import uninterrupted

_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "600",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
}


class OrchestrationError(ValueError):
    """A run that cannot be started as asked; the message names the remedy."""


@contextmanager
def local_ray(cpus: int, gpus: int) -> Iterator[None]:
    """A Ray of our own on this machine, with token authentication and without a dashboard.

    Ray reads its environment when it is imported, so that comes after.

    Raises
    ------
    OrchestrationError
        If the machine has fewer GPUs than asked for.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    os.environ.pop("RAY_ADDRESS", None)  # "local" gives way to it
    import ray  # noqa: PLC0415 - and a second that commands without Ray need not wait

    try:
        with uninterrupted():
            ray.init(
                address="local",
                num_cpus=cpus,
                num_gpus=None if gpus else 0,
                include_dashboard=False,
                logging_level=logging.ERROR,
                log_to_driver=False,
            )
        resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
        if (found := int(resources.get("GPU", 0))) < gpus:
            raise OrchestrationError(f"--gpus {gpus}: this machine has {found}; ask for fewer")
        yield
    finally:
        with uninterrupted():
            ray.shutdown()

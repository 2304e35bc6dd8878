"""The Ray that stages run on: one of our own on this machine, quiet and closed to others."""

import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from mfscale.orchestration.stopping import uninterrupted
from mfscale.results import StoreError

_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # As on macOS: every port on 127.0.0.1. Without it Ray takes the machine's address even where
    # ray.init is told 127.0.0.1, and listens on all of them.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "600",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
}
_COPIED = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECURITY_TOKEN",
    "AWS_SESSION_TOKEN",
)
"""What Tune hands on to workers, which have it anyhow, by way of a log that Ray keeps."""


class OrchestrationError(ValueError):
    """A run that cannot be started as asked; the message names the remedy."""


@contextmanager
def local_ray(cpus: int, gpus: int) -> Iterator[None]:
    """A Ray of our own on this machine: on loopback, with a token, without a dashboard.

    Ray reads its environment when it is imported, so that comes after. The token is one run's, in
    the environment of its processes alone, and so are Ray's sockets and logs, in a folder of the
    user's own: Ray's own token and folder are open to all users of the machine.

    Raises
    ------
    OrchestrationError
        If the machine has fewer GPUs than asked for.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if "RAY_AUTH_TOKEN_PATH" not in os.environ:
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    os.environ.pop("RAY_ADDRESS", None)  # "local" gives way to it
    import ray  # noqa: PLC0415 - and a second that commands without Ray need not wait

    folder = _folder()
    try:
        with uninterrupted():
            ray.init(
                address="local",
                num_cpus=cpus,
                num_gpus=None if gpus else 0,
                include_dashboard=False,
                logging_level=logging.ERROR,
                log_to_driver=False,
                _temp_dir=f"{folder}/ray",  # which Ray opens to all
            )
        resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
        if (found := int(resources.get("GPU", 0))) < gpus:
            raise OrchestrationError(f"--gpus {gpus}: this machine has {found}; ask for fewer")
        with _without(_COPIED):
            yield
    finally:
        with uninterrupted():
            ray.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def own_errors() -> Iterator[None]:
    """Raise what the store had to say instead of what Tune made of it."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, StoreError):
            cause = cause.__cause__ or cause.__context__
        if cause is None:
            raise
        raise cause from None


@contextmanager
def _without(names: Iterable[str]) -> Iterator[None]:
    """Take variables out of the environment for a while; processes started before have them."""
    taken = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(taken)


def _folder() -> str:
    """A folder for Ray that nobody else may enter.

    Not where TMPDIR says, but as Ray has it: names of sockets may have about a hundred characters.
    """
    parent = os.environ.get("RAY_TMPDIR", "/tmp")  # noqa: S108 - the folder in it is the user's own
    try:
        return tempfile.mkdtemp(prefix="mfscale-", dir=parent)
    except OSError as error:
        raise OrchestrationError(
            f"{parent}: Ray needs a folder there ({error.strerror}); name another: RAY_TMPDIR=…"
        ) from None

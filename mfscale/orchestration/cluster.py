"""The Ray that stages run on: one of our own on this machine, or a cluster that is there."""

import logging
import os
import secrets
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mfscale.orchestration.stopping import uninterrupted
from mfscale.results import StoreError

LOCAL = "local"
"""In the place of a cluster's address: a Ray of our own."""
_QUIET = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # stages without a GPU see none
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "600",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
}
_CLUSTERS = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
_CLOSED = {
    "RAY_AUTH_MODE": "token",
    # As on macOS: every port on 127.0.0.1. Without it Ray takes the machine's address even where
    # ray.init is told 127.0.0.1, and listens on all of them.
    _CLUSTERS: "0",
}
_ANSWER_S = 5.0
_COPIED = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECURITY_TOKEN",
    "AWS_SESSION_TOKEN",
)
"""What Tune hands on to workers, which have it anyhow, by way of a log that Ray keeps."""


class OrchestrationError(ValueError):
    """A run that cannot be started as asked; the message names the remedy."""


@dataclass(frozen=True)
class Slots:
    """What stages may use at most, all together: a processor core each, or a GPU if there are any.

    A cluster that grows may have less to begin with.
    """

    cpus: int
    gpus: int

    @property
    def number(self) -> int:
        """Stages at once."""
        return self.gpus or self.cpus


@contextmanager
def connected(address: str, cpus: int | None, gpus: int, folder: Path) -> Iterator[Slots]:
    """A Ray to run stages on, as long as the block runs.

    Parameters
    ----------
    address
        `LOCAL`, or that of a running cluster: ``HOST:PORT``, or ``auto`` for the one of this
        machine. A cluster goes on running afterwards.
    cpus, gpus
        What stages may use at most; of cores, all that are there now if None.
    folder
        For the sockets and logs of a Ray of our own; nobody else may enter it.

    Raises
    ------
    OrchestrationError
        If there is no such cluster, or nothing to run on.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    ours = address == LOCAL
    with (
        _local(cpus, gpus, folder) if ours else _joined(address, cpus, gpus) as slots,
        _without(_COPIED),
    ):
        yield slots


@contextmanager
def _local(cpus: int | None, gpus: int, folder: Path) -> Iterator[Slots]:
    """A Ray of our own on this machine: on loopback, with a token, without a dashboard.

    Ray reads its environment when it is imported, so that comes after. The token is one run's, in
    the environment of its processes alone, and so are Ray's sockets and logs, in a folder of the
    user's own: Ray's own token and folder are open to all users of the machine.
    """
    for name, value in _CLOSED.items():
        os.environ.setdefault(name, value)
    if "RAY_AUTH_TOKEN_PATH" not in os.environ:
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    os.environ.pop("RAY_ADDRESS", None)  # "local" gives way to it
    import ray  # noqa: PLC0415 - and a second that commands without Ray need not wait

    _heed_environment()
    cpus = cpus or cores()
    try:
        with uninterrupted():
            ray.init(
                address=LOCAL,
                num_cpus=cpus,
                num_gpus=None if gpus else 0,
                include_dashboard=False,
                logging_level=logging.ERROR,
                log_to_driver=False,
                _temp_dir=f"{folder}/ray",  # which Ray opens to all
            )
        if (found := _there("GPU")) < gpus:
            raise OrchestrationError(f"--gpus {gpus}: this machine has {found}; ask for fewer")
        yield Slots(cpus, gpus)
    finally:
        with uninterrupted():
            ray.shutdown()


def _heed_environment() -> None:
    """Let a Ray that was imported before, as in a notebook, close itself as one imported now."""
    from ray._private import ray_constants  # noqa: PLC0415 - after Ray itself
    from ray._raylet import (  # type: ignore[attr-defined]  # noqa: PLC0415 - compiled
        AuthenticationTokenLoader,
        Config,
    )

    Config.initialize("")  # what Ray does itself when it turns tokens on
    AuthenticationTokenLoader.instance().reset_cache()
    ray_constants.ENABLE_RAY_CLUSTER = os.environ[_CLUSTERS] != "0"


@contextmanager
def _joined(address: str, cpus: int | None, gpus: int) -> Iterator[Slots]:
    """A cluster that others have started, with its own authentication and its own settings."""
    if "://" in address:
        raise OrchestrationError(
            f"--ray-address {address}: a run connects from a machine of the cluster, to HOST:PORT "
            "or auto; submit it there (ray exec, ray job submit), or say local"
        )
    _require_answer(address)
    import ray  # noqa: PLC0415 - as above

    try:
        with uninterrupted():
            ray.init(
                address=address,
                logging_level=logging.ERROR,
                log_to_driver=False,
                runtime_env={"env_vars": {name: os.environ[name] for name in _QUIET}},
            )
        there = _there("CPU")
        if not gpus and not cpus and not there:
            raise OrchestrationError(
                f"--ray-address {address}: its cluster has no processor core for stages yet; say "
                "how many it may grow to: --cpus or --gpus"
            )
        # A core a GPU where none were asked for: a cluster that starts with no GPU has no others.
        yield Slots(cpus or (gpus or there), gpus)
    except (ConnectionError, RuntimeError, ValueError) as error:
        if isinstance(error, OrchestrationError) or ray.is_initialized():
            raise
        reason = str(error).strip().partition("\n")[0]
        raise OrchestrationError(
            f"--ray-address {address}: {reason}. A cluster with token authentication wants its "
            "token: RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token"
        ) from None
    finally:
        with uninterrupted():
            ray.shutdown()


def _require_answer(address: str) -> None:
    """Fail at once where nothing listens: Ray would try for minutes."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdecimal():
        try:
            socket.create_connection((host, int(port)), timeout=_ANSWER_S).close()
        except (OSError, OverflowError) as error:
            raise OrchestrationError(
                f"--ray-address {address}: no Ray cluster answers there ({error}); see on the "
                "head what `ray status` says, or start one: ray start --head"
            ) from None


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _there(resource: str) -> int:
    """What the cluster has now."""
    import ray  # noqa: PLC0415 - as above

    return int(ray.cluster_resources().get(resource, 0))  # type: ignore[no-untyped-call]


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

"""What runs in a Ray worker: one stage after another, in a process that keeps its models."""

import logging
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from mfscale.results import CURVE_SCHEMA, ERRORS_SCHEMA, Store, StoreError, turn
from mfscale.study import Stage
from mfscale.training import POTENTIAL, Interrupted

SETTLED = frozenset({"finished", "diverged"})
"""Statuses that are results: such a stage never runs again."""
INTERRUPTED = "interrupted"
"""What a worker tells of a stage that stopped as asked; it leaves no row, but its progress."""
TOLD = ("status", "reason", "samples_seen", "wall_time_s", "warnings")
"""Fields of a row that Tune, and so the driver, is told."""
LOGGER = logging.getLogger("mfscale")
STAGE, STORE, STOP, AGAIN, TRIAL, THREADS, GPU, SAVE_EVERY = (
    "stage",
    "store",
    "stop",
    "again",
    "trial",
    "threads",
    "gpu",
    "checkpoint_every_s",
)


def run_one(
    config: dict[str, Any], *, interrupted: Callable[[], bool] = lambda: False
) -> dict[str, Any]:
    """Train one stage, publish it, and say how it ended (`TOLD`).

    The row is published last: whatever it points to is there when it is. An exception in training
    is reported as a failed stage, with its message and log in the store; raised, it would cost
    Tune the worker.

    Parameters
    ----------
    config
        What `Campaign.start` says.
    interrupted
        Asked often: whether to save the stage's progress and stop.
    """
    stage = Stage.model_validate_json(config[STAGE])
    store = Store(config[STORE])
    flag = _Flag(Path(config[STOP])) if STOP in config else None

    def stop() -> bool:
        return interrupted() or (flag is not None and flag.is_there())

    # Beside the driver, which a worker may outlive for a moment, and perhaps beside another run.
    with store.in_use(), turn(store, stage.id, give_up=stop) as ours:
        if not ours:
            return {"status": INTERRUPTED, "reason": "stopped while another run trains it"}
        return _run(stage, store, config, stop)


class _Flag:
    """A file that may appear, looked for no more often than is cheap on any file system."""

    EVERY_S = 0.5

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next = 0.0
        self._found = False

    def is_there(self) -> bool:
        """Whether it was there when last looked for."""
        if not self._found and (now := time.monotonic()) >= self._next:
            self._found, self._next = self._path.exists(), now + self.EVERY_S
        return self._found


def _run(
    stage: Stage, store: Store, config: dict[str, Any], stop: Callable[[], bool]
) -> dict[str, Any]:
    """Train a stage unless it is settled by now: by a worker that died, or by another run."""
    row = store.row(stage.id)
    needless = not config[AGAIN] or (store.checkpoint_dir(stage.id) / POTENTIAL).exists()
    if row is not None and row["status"] in SETTLED and needless:
        return {key: row[key] for key in TOLD}
    attempt = store.next_attempt(stage.id)
    log = store.log_path(stage.id, attempt)
    with _logging_to(log):
        place = os.getpid(), platform.node()
        LOGGER.info("stage %s, attempt %d, in process %d on %s", stage.id, attempt, *place)
        try:
            return _train(stage, store, config, attempt, stop, again=row if config[AGAIN] else None)
        except Interrupted as why:
            LOGGER.info("stage %s %s", stage.id, why)
            return {"status": INTERRUPTED, "reason": str(why)}
        except Exception as error:
            LOGGER.exception("stage %s failed", stage.id)
            reason = f"{type(error).__name__}: {error}"
            with suppress(StoreError):  # of a disk that is full: then the run tells, but no row
                store.publish(
                    {
                        "stage_id": stage.id,
                        "attempt": attempt,
                        "status": "failed",
                        "purpose": stage.purpose,
                        "parent_id": stage.parent_id,
                        "root_id": stage.root_id,
                        "reason": reason,
                        "log_file": str(log.relative_to(store.path)),
                    }
                )
            return {"status": "failed", "reason": reason}


def _train(
    stage: Stage,
    store: Store,
    config: dict[str, Any],
    attempt: int,
    stop: Callable[[], bool],
    again: dict[str, Any] | None,
) -> dict[str, Any]:
    """Train a stage and publish all that it leaves; `again` is its row if it once was finished."""
    import torch  # noqa: PLC0415 - the driver needs none

    from mfscale.training import discard_progress, run_stage  # noqa: PLC0415 - which imports torch
    from mfscale.training.loop import Hopeless, never  # noqa: PLC0415 - likewise

    torch.set_num_threads(config[THREADS])
    hopeless: Hopeless = never
    if config[TRIAL] is not None:
        from mfscale.orchestration.trials import watch  # noqa: PLC0415 - few stages are trials

        key, number = config[TRIAL]
        hopeless = watch(store.tuning_dir, key, number, stage.hyperparameters.max_steps)
    result = run_stage(
        stage,
        checkpoint_dir=store.checkpoint_dir,
        device=torch.device("cuda" if config[GPU] else "cpu"),
        checkpoint_every_s=config[SAVE_EVERY],
        hopeless=hopeless,
        interrupted=stop,
    )
    store.publish_curve(
        stage.id, pa.Table.from_pylist([asdict(p) for p in result.curve], CURVE_SCHEMA)
    )
    if result.errors:  # tuning trials have none: they never see the test structures
        store.publish_errors(
            stage.id, pa.Table.from_pylist([asdict(e) for e in result.errors], ERRORS_SCHEMA)
        )
    log = store.log_path(stage.id, attempt)
    row = {**result.row, "attempt": attempt, "log_file": str(log.relative_to(store.path))}
    if again:
        row["warnings"] = [*row["warnings"], _again(again)]
    store.publish(row)
    discard_progress(store.checkpoint_dir(stage.id))
    return {key: row[key] for key in TOLD}


def _again(row: dict[str, Any]) -> str:
    return (
        f"trained again, for the model of attempt {row['attempt']} was gone: stages that finished "
        "before started from that one"
    )


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Send what Python logs and warns about during a stage to its own file."""
    handler: logging.Handler = logging.NullHandler()
    with suppress(OSError):  # a disk that is full costs the log, and what it costs beside is told
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    logging.captureWarnings(capture=True)
    LOGGER.setLevel(logging.INFO)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        with suppress(OSError):
            handler.close()

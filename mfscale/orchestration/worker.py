"""What runs in a Ray worker: one stage after another, in a process that keeps its models."""

import logging
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mfscale.results import (
    CURVE_SCHEMA,
    Held,
    Store,
    StoreError,
    checkpoint,
    errors_table,
    log_file,
    turn,
)
from mfscale.results.errors import StorageError
from mfscale.results.place import Local
from mfscale.study import Stage
from mfscale.training import POTENTIAL, PROGRESS, Interrupted, is_lost_gpu, is_out_of_memory

if TYPE_CHECKING:
    from mfscale.training import StageResult

SETTLED = frozenset({"finished", "diverged"})
"""Statuses that are results: such a stage never runs again."""
INTERRUPTED = "interrupted"
"""What a worker tells of a stage that stopped as asked; it leaves no row, but its progress."""
OUT_OF_MEMORY = "out of memory"
"""What a worker tells of a stage that needs more room than it has; it leaves no row either."""
TOLD = ("status", "reason", "samples_seen", "wall_time_s", "warnings")
"""Fields of a row that Tune, and so the driver, is told."""
LOGGER = logging.getLogger("mfscale")
STAGE, STORE, STOP, AGAIN, TRIAL, CPUS, THREADS, GPU, PARTS, NOTES = (
    "stage",
    "store",
    "stop",
    "again",
    "trial",
    "cpus",
    "threads",
    "gpu",
    "batch_parts",
    "notes",
)
COMPILED, WAITS, SAVE_EVERY, TRAIN = "compiled", "waits_for_code", "checkpoint_every_s", "train"
KERNELS = "kernels"


@dataclass(frozen=True)
class Attempt:
    """One attempt at a stage: whether to stop, its files as local ones, and its turn."""

    stop: Callable[[], bool]
    files: Local
    held: Held

    def saved(self, path: Path) -> None:
        """Take a file that training wrote into the store; a model only while the turn is held."""
        if path.name == POTENTIAL:
            _require_held(self.held)
            self.files.saved(path)
            return
        try:
            self.files.saved(path)
        except OSError as error:
            LOGGER.warning("the progress stays on this machine alone (%s)", error)


def train_stage(
    stage: Stage, store: Store, config: dict[str, Any], attempt: Attempt
) -> "StageResult":
    """Train a stage from its parent's model and its own progress, which the store has.

    Raises
    ------
    Interrupted
        If it was told to stop.
    TrainingError
        As `mfscale.training.run_stage` does.
    """
    import torch  # noqa: PLC0415 - the driver needs none

    from mfscale.training import run_stage  # noqa: PLC0415 - which imports torch
    from mfscale.training.loop import Hopeless, never  # noqa: PLC0415 - likewise
    from mfscale.training.memory import confine  # noqa: PLC0415 - likewise

    torch.set_num_threads(config[THREADS])
    if config[GPU]:
        confine(config[GPU])
    hopeless: Hopeless = never
    if config[TRIAL] is not None:
        from mfscale.orchestration.trials import watch  # noqa: PLC0415 - few stages are trials

        key, number = config[TRIAL]
        hopeless = watch(store, key, number, stage.hyperparameters.max_steps)
    return run_stage(
        stage,
        checkpoint_dir=lambda stage_id: attempt.files.path(checkpoint(stage_id)),
        saved=attempt.saved,
        device=torch.device("cuda" if config[GPU] else "cpu"),
        checkpoint_every_s=config[SAVE_EVERY],
        hopeless=hopeless,
        interrupted=attempt.stop,
        batch_parts=config[PARTS],
        compiled=config[COMPILED],
        waits=config[WAITS],
        kernels=config[KERNELS],
    )


Train = Callable[[Stage, Store, dict[str, Any], Attempt], "StageResult"]
"""Makes the result of a stage, given its store, what `Campaign.start` says, and the attempt."""


def run_one(
    config: dict[str, Any], *, interrupted: Callable[[], bool] = lambda: False
) -> dict[str, Any]:
    """Train one stage, publish it, and say how it ended (`TOLD`).

    The row is published last: whatever it points to is there when it is. An exception in training
    is reported as a failed stage, with its message and log in the store; raised, it would cost
    Tune the worker. So only that is raised which leaves the process unable to use its GPU.

    Parameters
    ----------
    config
        What `Campaign.start` says; what is to train a stage, unless that is `train_stage`.
    interrupted
        Asked often: whether to save the stage's progress and stop.
    """
    stage = Stage.model_validate_json(config[STAGE])
    try:
        return _in_turn(stage, Store(config[STORE]), config, interrupted)
    except (StoreError, StorageError) as error:
        return {"status": "failed", "reason": str(error)}


def _in_turn(
    stage: Stage, store: Store, config: dict[str, Any], interrupted: Callable[[], bool]
) -> dict[str, Any]:
    """Run a stage once no other process trains it."""
    flag = _Flag(store, config[STOP]) if STOP in config else None

    def stop() -> bool:
        return interrupted() or (flag is not None and flag.is_there())

    # Beside the driver, which a worker may outlive for a moment, and perhaps beside another run.
    with store.in_use() as run, turn(store, stage.id, give_up=stop) as held:
        if held is None:
            return {"status": INTERRUPTED, "reason": "stopped while another run trains it"}

        def stop_or_lost() -> bool:
            return stop() or run.lost() or held.lost()

        told = _run(stage, store, config, stop_or_lost, held)
    if config[GPU] or told["status"] == OUT_OF_MEMORY:
        from mfscale.training.memory import release  # noqa: PLC0415 - which imports torch

        # Only now, for an exception holds on to all that its stage had.
        release(networks=told["status"] == OUT_OF_MEMORY)
    return told


class _Flag:
    """A file that may appear, looked for no more often than is cheap where the store is."""

    def __init__(self, store: Store, name: str) -> None:
        self._place = store.place
        self._name = name
        self._next = 0.0
        self._found = False

    def is_there(self) -> bool:
        """Whether it was there when last looked for."""
        if not self._found and (now := time.monotonic()) >= self._next:
            with suppress(OSError):  # a network that fails for a moment asks nobody to stop
                self._found = self._place.exists(self._name)
            self._next = now + self._place.look_every_s
        return self._found


def _run(
    stage: Stage, store: Store, config: dict[str, Any], stop: Callable[[], bool], held: Held
) -> dict[str, Any]:
    """Train a stage unless it is settled by now: by a worker that died, or by another run."""
    row, attempt = store.row_and_next_attempt(stage.id)
    settled = row is not None and row["status"] in SETTLED
    if row and settled and not _wanted_again(stage, store, config):
        return {key: row[key] for key in TOLD}
    log = log_file(stage.id, attempt)
    needed = [checkpoint(stage.id, PROGRESS)]
    if stage.parent_id is not None:
        needed.append(checkpoint(stage.parent_id, POTENTIAL))
    with store.local(*needed) as files, _logging_to(files, log):
        place = os.getpid(), platform.node()
        LOGGER.info("stage %s, attempt %d, in process %d on %s", stage.id, attempt, *place)
        try:
            train: Train = config.get(TRAIN, train_stage)
            result = train(stage, store, config, Attempt(stop, files, held))
            return _publish(result, store, attempt, config, held, row if config[AGAIN] else None)
        except Interrupted as why:
            LOGGER.info("stage %s %s", stage.id, why)
            return {"status": INTERRUPTED, "reason": str(why)}
        except Exception as error:
            if is_out_of_memory(error):
                LOGGER.warning("stage %s: %s", stage.id, _at_a_glance(error))
                return {"status": OUT_OF_MEMORY, "reason": _at_a_glance(error)}
            if is_lost_gpu(error):  # raised, it costs Tune the worker, and so it should
                LOGGER.exception("stage %s loses its worker", stage.id)
                raise
            LOGGER.exception("stage %s failed", stage.id)
            reason = f"{type(error).__name__}: {error}".replace(str(files.path(".")), str(store))
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
                        "log_file": log,
                    }
                )
            return {"status": "failed", "reason": reason}


def _wanted_again(stage: Stage, store: Store, config: dict[str, Any]) -> bool:
    """Whether a finished stage is to be trained for its model, which is gone."""
    return bool(config[AGAIN]) and not store.place.exists(checkpoint(stage.id, POTENTIAL))


def _publish(
    result: "StageResult",
    store: Store,
    attempt: int,
    config: dict[str, Any],
    held: Held,
    again: dict[str, Any] | None,
) -> dict[str, Any]:
    """Publish all that a stage leaves; `again` is its row if it once was finished."""
    stage_id: str = result.row["stage_id"]
    store.publish_curve(
        stage_id, pa.Table.from_pylist([vars(p) for p in result.curve], CURVE_SCHEMA)
    )
    if result.errors:  # tuning trials have none: they never see the test structures
        store.publish_errors(stage_id, errors_table(map(vars, result.errors)))
    row = {
        **result.row,
        "attempt": attempt,
        "log_file": log_file(stage_id, attempt),
        "gpu_share": config[GPU] or None,
        "warnings": [*result.row["warnings"], *config[NOTES]],
    }
    if again:
        row["warnings"] = [*row["warnings"], _again(again)]
    _require_held(held)
    store.publish(row)
    with suppress(OSError):  # which gc deletes then
        store.place.delete([checkpoint(stage_id, PROGRESS)])
    return {key: row[key] for key in TOLD}


def _at_a_glance(error: Exception) -> str:
    """The first line of a message, which of torch may have many."""
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]


def _require_held(held: Held) -> None:
    """Raise Interrupted if another run has taken the stage over, as if this one were dead."""
    if not held.confirmed():
        raise Interrupted("stopped, for another run has taken it over")


def _again(row: dict[str, Any]) -> str:
    return (
        f"trained again, for the model of attempt {row['attempt']} was gone: stages that finished "
        "before started from that one"
    )


@contextmanager
def _logging_to(files: Local, name: str) -> Iterator[None]:
    """Send what Python logs and warns about during a stage to its own file of the store."""
    path = files.path(name)
    handler: logging.Handler = logging.NullHandler()
    with suppress(OSError):  # a disk that is full costs the log, and what it costs beside is told
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, encoding="utf-8")
        files.saved(path)  # an attempt that is killed is known by it
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
            files.saved(path)

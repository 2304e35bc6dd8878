"""What runs in a Ray worker: one stage after another, in a process that keeps its models."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from mfscale.results import CURVE_SCHEMA, ERRORS_SCHEMA, Store
from mfscale.study import Stage
from mfscale.training import POTENTIAL

SETTLED = frozenset({"finished", "diverged"})
"""Statuses that are results: such a stage never runs again."""
TOLD = ("status", "reason", "samples_seen", "wall_time_s", "warnings")
"""Fields of a row that Tune, and so the driver, is told."""
LOGGER = logging.getLogger("mfscale")
STAGE, STORE, ATTEMPT, AGAIN, TRIAL, THREADS, GPU, SAVE_EVERY = (
    "stage",
    "store",
    "attempt",
    "again",
    "trial",
    "threads",
    "gpu",
    "checkpoint_every_s",
)


def run_trial(config: dict[str, Any]) -> None:
    """Run one stage and tell Tune how it ended."""
    from ray import tune  # noqa: PLC0415 - the driver imports this module before it sets Ray up

    tune.report(run_one(config))


def run_one(config: dict[str, Any]) -> dict[str, Any]:
    """Train one stage, publish it, and say how it ended (`TOLD`).

    The row is published last: whatever it points to is there when it is. An exception in training
    is reported as a failed stage, with its message and log in the store; raised, it would cost
    Tune the worker.
    """
    stage = Stage.model_validate_json(config[STAGE])
    store = Store(config[STORE])
    with store.in_use():  # beside the driver, which a worker may outlive for a moment
        return _run(stage, store, config)


def _run(stage: Stage, store: Store, config: dict[str, Any]) -> dict[str, Any]:
    """Train a stage unless it is settled by now: by a worker that died, or by another run."""
    attempt = config[ATTEMPT]
    row = store.row(stage.id)
    needless = not config[AGAIN] or (store.checkpoint_dir(stage.id) / POTENTIAL).exists()
    if row is not None and row["status"] in SETTLED and needless:
        return {key: row[key] for key in TOLD}
    log = store.log_path(stage.id, attempt)
    with _logging_to(log):
        LOGGER.info("stage %s, attempt %d, in process %d", stage.id, attempt, os.getpid())
        try:
            return _train(stage, store, config, again=row if config[AGAIN] else None)
        except Exception as error:
            LOGGER.exception("stage %s failed", stage.id)
            reason = f"{type(error).__name__}: {error}"
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
    stage: Stage, store: Store, config: dict[str, Any], again: dict[str, Any] | None
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
    )
    store.publish_curve(
        stage.id, pa.Table.from_pylist([asdict(p) for p in result.curve], CURVE_SCHEMA)
    )
    if result.errors:  # tuning trials have none: they never see the test structures
        store.publish_errors(
            stage.id, pa.Table.from_pylist([asdict(e) for e in result.errors], ERRORS_SCHEMA)
        )
    log = store.log_path(stage.id, config[ATTEMPT])
    row = {**result.row, "attempt": config[ATTEMPT], "log_file": str(log.relative_to(store.path))}
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
        handler.close()

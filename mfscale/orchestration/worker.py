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

SETTLED = frozenset({"finished", "diverged"})
"""Statuses that are results: such a stage never runs again."""
TOLD = ("status", "reason", "samples_seen", "wall_time_s", "warnings")
"""Fields of a row that Tune, and so the driver, is told."""
LOGGER = logging.getLogger("mfscale")
STAGE, STORE, ATTEMPT, THREADS, GPU, SAVE_EVERY = (
    "stage",
    "store",
    "attempt",
    "threads",
    "gpu",
    "checkpoint_every_s",
)


def run_trial(config: dict[str, Any]) -> None:
    """Train one stage, publish it, and tell Tune how it ended.

    The row is published last: whatever it points to is there when it is. An exception in training
    is reported as a failed stage, with its message and log in the store; raised, it would cost
    Tune the worker.
    """
    from ray import tune  # noqa: PLC0415 - the driver imports this module before it sets Ray up

    stage = Stage.model_validate_json(config[STAGE])
    store = Store(config[STORE])
    attempt = config[ATTEMPT]
    if (row := store.row(stage.id)) is not None and row["status"] in SETTLED:
        tune.report({key: row[key] for key in TOLD})  # by a worker that died, or another run
        return
    log = store.log_path(stage.id, attempt)
    with _logging_to(log):
        LOGGER.info("stage %s, attempt %d, in process %d", stage.id, attempt, os.getpid())
        try:
            report = _train(stage, store, config)
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
            report = {"status": "failed", "reason": reason}
    tune.report(report)


def _train(stage: Stage, store: Store, config: dict[str, Any]) -> dict[str, Any]:
    import torch  # noqa: PLC0415 - the driver needs none

    from mfscale.training import discard_progress, run_stage  # noqa: PLC0415 - which imports torch

    torch.set_num_threads(config[THREADS])
    result = run_stage(
        stage,
        checkpoint_dir=store.checkpoint_dir,
        device=torch.device("cuda" if config[GPU] else "cpu"),
        checkpoint_every_s=config[SAVE_EVERY],
    )
    store.publish_curve(
        stage.id, pa.Table.from_pylist([asdict(p) for p in result.curve], CURVE_SCHEMA)
    )
    store.publish_errors(
        stage.id, pa.Table.from_pylist([asdict(e) for e in result.errors], ERRORS_SCHEMA)
    )
    log = store.log_path(stage.id, config[ATTEMPT])
    row = {**result.row, "attempt": config[ATTEMPT], "log_file": str(log.relative_to(store.path))}
    store.publish(row)
    discard_progress(store.checkpoint_dir(stage.id))
    return {key: result.row[key] for key in TOLD}


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

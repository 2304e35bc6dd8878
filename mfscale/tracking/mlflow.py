"""Stages as runs of MLflow, found again by a tag that holds the stage's id."""

import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException

from mfscale.tracking.errors import without_secrets
from mfscale.tracking.tracked import TrackedStage

FOLDER = "mfscale-tracking"
STAGE, DIGEST = "mfscale.stage_id", "mfscale.digest"
_MOST_METRICS, _MOST_PARAMS, _LONGEST = 1000, 100, 6000
"""What MLflow takes in one request, and characters of a parameter."""


class MLflow:
    """An experiment, each stage a run; one whose content has changed is replaced.

    Parameters
    ----------
    out
        A tracking URI, or a folder for a SQLite database; by default ``MLFLOW_TRACKING_URI``, or
        else ``FOLDER``.
    project
        The experiment; by default ``MLFLOW_EXPERIMENT_NAME``, or else ``mfscale``.
    """

    def __init__(self, out: str | None, project: str | None) -> None:
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # 7 take minutes to give up
        uri = _uri(out or os.environ.get("MLFLOW_TRACKING_URI") or FOLDER)
        experiment = project or os.environ.get("MLFLOW_EXPERIMENT_NAME") or "mfscale"
        self._client = MlflowClient(tracking_uri=uri)
        self._experiment = self._find_or_make(experiment)
        self.place = f"{without_secrets(uri)}, experiment {experiment}"

    def write(self, stage: TrackedStage) -> bool:
        """Write the run of a stage; false if it is there as it is."""
        earlier = self._client.search_runs(
            [self._experiment], filter_string=f"tags.`{STAGE}` = '{stage.stage_id}'"
        )
        if any(run.data.tags.get(DIGEST) == stage.digest for run in earlier):
            return False
        self._log(stage)
        for run in earlier:
            self._client.delete_run(run.info.run_id)
        return True

    def close(self) -> None:
        """Nothing is open."""

    def _find_or_make(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(self._client.create_experiment(name))
            except MlflowException:  # another run was quicker, or it is not to be
                found = self._client.get_experiment_by_name(name)
                if found is None:
                    raise
        return str(found.experiment_id)

    def _log(self, stage: TrackedStage) -> None:
        """Make a run; it gets the digest last, so that a part of one is known as such."""
        client, now = self._client, time.time()
        began = stage.started_s or now
        tags = {STAGE: stage.stage_id, "mfscale.status": stage.status, "mfscale.group": stage.group}
        if stage.study is not None:
            tags |= {
                "mfscale.study": stage.study,
                "mfscale.strategies": ", ".join(stage.strategies),
            }
        if stage.reason is not None:
            tags["mfscale.reason"] = stage.reason[:_LONGEST]
        run = client.create_run(
            self._experiment, start_time=_milliseconds(began), run_name=stage.name, tags=tags
        ).info.run_id
        params, metrics = list(_params(stage)), list(_metrics(stage, began))
        for first in range(0, len(params), _MOST_PARAMS):
            client.log_batch(run, params=params[first : first + _MOST_PARAMS])
        for first in range(0, len(metrics), _MOST_METRICS):
            client.log_batch(run, metrics=metrics[first : first + _MOST_METRICS])
        client.set_tag(run, DIGEST, stage.digest)
        how = "FINISHED" if stage.status == "finished" else "FAILED"
        client.set_terminated(run, how, _milliseconds(stage.ended_s or began))


def _uri(out: str) -> str:
    if "://" in out or out.startswith("databricks"):
        return out
    folder = Path(out).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{folder / 'mlflow.db'}"


def _params(stage: TrackedStage) -> Iterator[Param]:
    for key, setting in stage.config.items():
        yield Param(key, str(setting)[:_LONGEST])


def _metrics(stage: TrackedStage, began: float) -> Iterator[Metric]:
    for point in stage.curve:
        when = _milliseconds(began + point.get("elapsed_s", 0.0))
        for key, value in point.items():
            if key != "step":
                yield Metric(f"curve/{key}", value, when, int(point["step"]))
    ended = _milliseconds(stage.ended_s or began)
    for key, value in stage.metrics.items():
        yield Metric(f"final/{key}", value, ended, stage.last_step)


def _milliseconds(seconds: float) -> int:
    return round(1000 * seconds)

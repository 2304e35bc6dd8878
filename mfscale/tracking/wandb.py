"""Stages as runs of Weights & Biases; a run's id is the stage's."""

import json
import os
import shutil
from collections import defaultdict
from pathlib import Path

import wandb

from mfscale.tracking.errors import TrackingError, without_secrets
from mfscale.tracking.tracked import TrackedStage

FOLDER = "mfscale-tracking"
_LONGEST_TAG, _LONGEST_GROUP = 64, 128
_PATIENCE_S = 30
_MARKER = "mfscale.json"


class WandB:
    """A project, each stage a run.

    W&B takes no step of a run twice, so that a stage written again adds nothing to its curve.
    Offline (``WANDB_MODE=offline``) a stage that has changed replaces its earlier files.

    Parameters
    ----------
    out
        Folder for the files of runs; by default ``WANDB_DIR``, or else ``FOLDER``.
    project
        The project; by default ``WANDB_PROJECT``, or else ``mfscale``.
    """

    def __init__(self, out: str | None, project: str | None) -> None:
        known = wandb.setup(wandb.Settings(silent=True)).settings
        if known.mode == "online" and not wandb.login(prompt=False, verify=False):
            raise TrackingError(
                "wandb is not logged in: run `wandb login`, or set WANDB_MODE=offline to keep the "
                "runs in a folder"
            )
        self._folder = Path(out or os.environ.get("WANDB_DIR") or FOLDER)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._project = project or known.project or "mfscale"
        self._mode = known.mode
        self._offline: dict[str, dict[str, Path]] = defaultdict(dict)
        for path in (self._folder / "wandb").glob(f"offline-run-*-*/{_MARKER}"):
            told = json.loads(path.read_text(encoding="utf-8"))
            if told["project"] == self._project:
                self._offline[told["stage_id"]][told["digest"]] = path.parent
        here = (
            without_secrets(known.base_url)
            if known.mode == "online"
            else f"{self._folder} ({known.mode})"
        )
        self.place = f"{here}, project {self._project}"

    def write(self, stage: TrackedStage) -> bool:
        """Write a stage as a run; false if it is there as it is, as only offline files tell."""
        earlier = self._offline[stage.stage_id]
        if stage.digest in earlier:
            return False
        run = wandb.init(
            project=self._project,
            id=stage.stage_id,
            resume="allow",
            reinit="create_new",  # the caller's own run, if any, goes on
            name=stage.name,
            group=stage.group[:_LONGEST_GROUP],
            tags=_tags(stage),
            notes=stage.reason,
            config=dict(stage.config),
            dir=str(self._folder.absolute()),  # relative, its process would take it for its own
            settings=_settings(),
        )
        for point in stage.curve:
            values = {f"curve/{key}": value for key, value in point.items() if key != "step"}
            run.log(values, step=int(point["step"]))
        run.summary.update({f"final/{key}": value for key, value in stage.metrics.items()})
        folder = Path(run.dir).parent
        run.finish(exit_code=0 if stage.status == "finished" else 1)
        if self._mode == "offline":
            self._mark(stage, folder)
            for old in earlier.values():
                shutil.rmtree(old, ignore_errors=True)
            self._offline[stage.stage_id] = {stage.digest: folder}
        return True

    def _mark(self, stage: TrackedStage, folder: Path) -> None:
        """Note whose an offline run is, for the next time; `wandb sync` leaves this file here."""
        told = {"project": self._project, "stage_id": stage.stage_id, "digest": stage.digest}
        (folder / _MARKER).write_text(json.dumps(told), encoding="utf-8")

    def close(self) -> None:
        """End W&B's own process, if no other run uses it."""
        wandb.teardown()


def _tags(stage: TrackedStage) -> list[str]:
    tags = (stage.study, *stage.strategies, stage.status)
    return [tag[:_LONGEST_TAG] for tag in tags if tag]


def _settings() -> wandb.Settings:
    """Of the machine that copies results W&B learns no more than its name: others computed them."""
    return wandb.Settings(
        console="off",
        silent=True,
        disable_git=True,
        disable_code=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_disable_machine_info=True,
        x_save_requirements=False,
        init_timeout=_PATIENCE_S,
    )

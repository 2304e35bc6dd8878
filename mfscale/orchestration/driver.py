"""Run what a store lacks of a study, on Ray."""

import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mfscale.orchestration import worker
from mfscale.orchestration.estimate import Rates
from mfscale.orchestration.progress import Progress
from mfscale.orchestration.schedule import Schedule, Skip
from mfscale.results import Store
from mfscale.study import Stage, StudyGraph

CRASHES = 2
"""How often a stage whose worker dies is started again, from its last checkpoint."""

_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "600",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
}


class OrchestrationError(ValueError):
    """A run that cannot be started as asked; the message names the remedy."""


@dataclass(frozen=True)
class Ended:
    """A stage that did not finish, and why."""

    stage_id: str
    status: str
    reason: str


@dataclass(frozen=True)
class Summary:
    """How a run went."""

    progress: Progress
    wall_time_s: float
    unfinished: tuple[Ended, ...]
    warnings: tuple[str, ...]


def missing(graph: StudyGraph, statuses: Mapping[str, str]) -> list[Stage]:
    """The stages of a study that a store lacks: those without a result, finished or diverged.

    A failed stage is missing: the next run tries again.
    """
    settled = {"finished", "diverged"}
    return [stage for stage in graph.stages.values() if statuses.get(stage.id) not in settled]


def run(
    graph: StudyGraph,
    store: Store,
    *,
    estimate: Rates,
    cpus: int,
    gpus: int = 0,
    on_progress: Callable[[Progress], None] = lambda _: None,
    checkpoint_every_s: float = 15.0,
) -> Summary:
    """Run the stages of `graph` that `store` lacks, each once, children after their parents.

    Parameters
    ----------
    graph
        An expanded study.
    store
        Where results go, and what decides what is missing.
    estimate
        Orders the work and gives the time left.
    cpus, gpus
        Slots: one stage a processor core, or one a GPU if there are any.
    on_progress
        Told whenever a stage starts or ends.
    checkpoint_every_s
        The most training a crash may cost.

    Raises
    ------
    OrchestrationError
        If there is nothing to run on.
    """
    if cpus < 1 or gpus < 0:
        raise OrchestrationError(
            f"cannot run on {cpus} CPUs and {gpus} GPUs; give at least --cpus 1"
        )
    began = time.perf_counter()
    campaign = _Campaign(graph, store, estimate, slots=gpus or cpus, on_progress=on_progress)
    if campaign.schedule.unfinished:
        with _ray(cpus, gpus):
            _tune(campaign, cpus, gpus, checkpoint_every_s)
        store.compact()
    return Summary(
        progress=campaign.progress,
        wall_time_s=time.perf_counter() - began,
        unfinished=tuple(campaign.unfinished),
        warnings=tuple(campaign.warnings),
    )


class _Campaign:
    """One run: the schedule, what has ended so far, and what has been learned of speed."""

    def __init__(
        self,
        graph: StudyGraph,
        store: Store,
        estimate: Rates,
        *,
        slots: int,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self.graph = graph
        self.store = store
        self.slots = slots
        self.on_progress = on_progress
        self.unfinished: list[Ended] = []
        self.warnings: list[str] = []
        self._seconds = {stage.id: estimate.seconds(stage) for stage in graph.stages.values()}
        self._expected_s = self._spent_s = 0.0
        self._samples = 0
        self._first_start: float | None = None
        self._statuses = statuses = store.statuses()
        done = frozenset(s for s in graph.stages if statuses.get(s) == "finished")
        diverged = [s for s in graph.stages if statuses.get(s) == "diverged"]
        self._left = {s.id for s in missing(graph, statuses)}
        self.schedule = Schedule(
            {stage.id: stage.parent_id for stage in graph.stages.values()},
            done,
            weight=self._seconds.__getitem__,
        )
        self.progress = Progress(total=len(graph.stages), cached=len(done) + len(diverged))
        for stage_id in diverged:
            self._skip(self.schedule.exclude(stage_id, "diverged"))

    def config(self, stage_id: str) -> dict[str, Any]:
        """Configure the trial of a stage that starts now."""
        if self._first_start is None:
            self._first_start = time.perf_counter()
        self._tell()
        return {
            worker.STAGE: self.graph.stages[stage_id].model_dump_json(),
            worker.ATTEMPT: self.store.next_attempt(stage_id),
        }

    def ended(self, stage_id: str, result: Mapping[str, Any] | None) -> str:
        """Take note of how a stage ended; the result is None if its worker died too often."""
        if result is None or "status" not in result:
            result = {"status": "failed", "reason": f"its worker died {CRASHES + 1} times"}
            self._publish(stage_id, "failed", result["reason"])
        status: str = result["status"]
        self._left.discard(stage_id)
        if status == "finished":
            self._samples += result["samples_seen"]
            self._expected_s += self._seconds[stage_id]
            self._spent_s += result["wall_time_s"]
            self.warnings += [f"{stage_id}: {text}" for text in result["warnings"]]
        else:
            self.unfinished.append(Ended(stage_id, status, result["reason"]))
        count = getattr(self.progress, status) + 1
        self.progress = replace(self.progress, **{status: count})
        return status

    def skipped(self, skips: list[Skip]) -> None:
        """Take note of stages that cannot run any more, now that one has ended."""
        self._skip(skips)
        self._tell()

    def _skip(self, skips: list[Skip]) -> None:
        for skip in skips:
            self._left.discard(skip.stage_id)
            if self._statuses.get(skip.stage_id) != "skipped":
                self._publish(skip.stage_id, "skipped", skip.reason)
            self.unfinished.append(Ended(skip.stage_id, "skipped", skip.reason))
        self.progress = replace(self.progress, skipped=self.progress.skipped + len(skips))

    def _publish(self, stage_id: str, status: str, reason: str) -> None:
        stage = self.graph.stages[stage_id]
        self.store.publish(
            {
                "stage_id": stage_id,
                "attempt": self.store.next_attempt(stage_id),
                "status": status,
                "purpose": stage.purpose,
                "parent_id": stage.parent_id,
                "root_id": stage.root_id,
                "reason": reason,
            }
        )

    def _tell(self) -> None:
        rate = left = None
        if self._samples and self._first_start is not None:
            rate = self._samples / (time.perf_counter() - self._first_start)
            slower = self._spent_s / self._expected_s
            left = slower * sum(self._seconds[s] for s in self._left) / self.slots
        self.progress = replace(
            self.progress,
            running=len(self.schedule.running),
            structures_per_second=rate,
            left_s=left,
        )
        self.on_progress(self.progress)


@contextmanager
def _ray(cpus: int, gpus: int) -> Iterator[None]:
    """A Ray of our own on this machine, with token authentication and without a dashboard.

    Ray reads its environment when it is imported, so that comes after.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    import ray  # noqa: PLC0415 - and a second that commands without Ray need not wait

    ray.init(
        num_cpus=cpus,
        num_gpus=gpus,
        include_dashboard=False,
        logging_level=logging.ERROR,
        log_to_driver=False,
    )
    try:
        yield
    finally:
        ray.shutdown()


def _tune(campaign: _Campaign, cpus: int, gpus: int, checkpoint_every_s: float) -> None:
    """Run the campaign as one Tune experiment whose own files are thrown away."""
    from ray import tune  # noqa: PLC0415 - see _ray

    from mfscale.orchestration.searcher import GraphSearcher  # noqa: PLC0415 - likewise

    threads = max(1, cpus // gpus) if gpus else 1
    per_stage = {"cpu": float(threads), "gpu": 1.0 if gpus else 0.0}
    constant = {
        worker.STORE: str(campaign.store.path.resolve()),
        worker.THREADS: threads,
        worker.GPU: bool(gpus),
        worker.SAVE_EVERY: checkpoint_every_s,
    }
    searcher = GraphSearcher(
        campaign.schedule,
        config=lambda stage_id: {**constant, **campaign.config(stage_id)},
        ended=campaign.ended,
        skipped=campaign.skipped,
    )
    scratch = Path(tempfile.mkdtemp(prefix="mfscale-tune-"))
    try:
        tune.Tuner(
            tune.with_resources(worker.run_trial, per_stage),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                num_samples=-1,
                max_concurrent_trials=campaign.slots,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name="run",
                storage_path=str(scratch),
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=CRASHES),
            ),
        ).fit()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)

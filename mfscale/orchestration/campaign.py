"""One run of a study: what may start, what has ended, how long the rest will take."""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mfscale.orchestration import worker
from mfscale.orchestration.estimate import Rates
from mfscale.orchestration.progress import Progress
from mfscale.orchestration.schedule import Schedule, Skip
from mfscale.results import Store
from mfscale.study import Stage, StudyGraph
from mfscale.training import POTENTIAL

CRASHES = 2
"""How often a stage whose worker dies is started again, from its last checkpoint."""


@dataclass(frozen=True)
class Ended:
    """A stage that did not finish, and why."""

    stage_id: str
    status: str
    reason: str


def missing(
    graph: StudyGraph, statuses: Mapping[str, str], without_model: Collection[str] = ()
) -> list[Stage]:
    """The stages of a study that a store lacks and a run would start, parents first.

    A failed stage is missing: the next run tries again. A diverged one is not, for it would diverge
    again; nor is any below it. A finished stage whose model is gone (`without_model`) is, as soon
    as a stage that will run starts from it.
    """
    hopeless: set[str | None] = set()
    lacking: set[str | None] = set()
    for stage in graph.stages.values():  # parents before children
        if statuses.get(stage.id) == "diverged" or stage.parent_id in hopeless:
            hopeless.add(stage.id)
        elif statuses.get(stage.id) != "finished":
            lacking.add(stage.id)
    for stage in reversed(list(graph.stages.values())):
        if stage.id in lacking and stage.parent_id in without_model:
            lacking.add(stage.parent_id)
    return [stage for stage in graph.stages.values() if stage.id in lacking]


def without_model(graph: StudyGraph, statuses: Mapping[str, str], store: Store) -> frozenset[str]:
    """The finished stages of a study whose models are gone from the store."""
    return frozenset(
        stage
        for stage in graph.stages
        if statuses.get(stage) == "finished"
        and not (store.checkpoint_dir(stage) / POTENTIAL).exists()
    )


class Campaign:
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
        self._attempts: dict[str, int] = {}
        self._first_start: float | None = None
        self._statuses = statuses = store.statuses()
        gone = without_model(graph, statuses, store)
        self._left = {s.id for s in missing(graph, statuses, gone)}
        self._again = gone & self._left
        done = frozenset(s for s in graph.stages if statuses.get(s) == "finished") - self._again
        diverged = [s for s in graph.stages if statuses.get(s) == "diverged"]
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
        self._attempts[stage_id] = self.store.next_attempt(stage_id)
        return {
            worker.STAGE: self.graph.stages[stage_id].model_dump_json(),
            worker.ATTEMPT: self._attempts[stage_id],
            worker.AGAIN: stage_id in self._again,
        }

    def ended(self, stage_id: str, result: Mapping[str, Any] | None) -> str:
        """Take note of how a stage ended; the result is None if its worker died too often."""
        if result is None or "status" not in result:
            reason = f"its worker died {CRASHES + 1} times, perhaps for want of memory"
            result = {"status": "failed", "reason": reason}
            log = self.store.log_path(stage_id, self._attempts[stage_id])
            self._publish(
                stage_id, "failed", reason, log_file=str(log.relative_to(self.store.path))
            )
        status: str = result["status"]
        self._left.discard(stage_id)
        if status == "finished":
            self._samples += result["samples_seen"] or 0  # none if it was adopted meanwhile
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

    def _publish(
        self, stage_id: str, status: str, reason: str, log_file: str | None = None
    ) -> None:
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
                "log_file": log_file,
            }
        )

    def _tell(self) -> None:
        rate, slower = None, 1.0
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

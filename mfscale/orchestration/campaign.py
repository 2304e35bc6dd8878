"""One run of a study: what may start, what has ended, how long the rest will take."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mfscale.orchestration import worker
from mfscale.orchestration.compaction import Compaction
from mfscale.orchestration.compiling import Compiling
from mfscale.orchestration.estimate import Rates
from mfscale.orchestration.progress import Progress
from mfscale.orchestration.schedule import Schedule, Skip
from mfscale.orchestration.shares import Rooms
from mfscale.orchestration.tunings import Tunings
from mfscale.results import Store, StoreError, checkpoint, log_file, turn
from mfscale.study import Choice, Stage, StudyGraph
from mfscale.training import POTENTIAL, PROGRESS, TrainingError, read_header

CRASHES = 2
"""How often in a row a stage whose worker dies, no further than before, is started again."""


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
    lacking |= {tuning.template.parent_id for tuning in graph.tunings}.intersection(without_model)
    for stage in reversed(list(graph.stages.values())):
        if stage.id in lacking and stage.parent_id in without_model:
            lacking.add(stage.parent_id)
    return [stage for stage in graph.stages.values() if stage.id in lacking]


def without_model(graph: StudyGraph, statuses: Mapping[str, str], store: Store) -> frozenset[str]:
    """The finished stages of a study whose models are gone from the store."""
    finished = [stage for stage in graph.stages if statuses.get(stage) == "finished"]
    there = store.checkpoints() if finished else {}
    return frozenset(stage for stage in finished if POTENTIAL not in there.get(stage, ()))


class Campaign:
    """One run: the schedule, what has ended so far, and what has been learned of speed.

    Tunings run inside it: their trials start as soon as the stage they start from is finished, and
    the stages that follow a choice join the schedule once it is made.

    Parameters
    ----------
    graph, store, estimate, slots, on_progress, on_ended
        As `mfscale.orchestration.driver.run` takes them.
    grow
        Expands the study again with choices that its tunings have made.
    rooms
        What stages have to run in; a core each if not given.
    compiling
        Which stages train compiled; none if not given.
    kernels
        What computes products of tensors in workers; e3nn does in the last attempt at a stage.
    """

    def __init__(
        self,
        graph: StudyGraph,
        store: Store,
        estimate: Rates,
        *,
        slots: int,
        on_progress: Callable[[Progress], None],
        on_ended: Callable[[str], None] = lambda _: None,
        grow: Callable[[Sequence[Choice]], StudyGraph] | None = None,
        rooms: Rooms | None = None,
        compiling: Compiling | None = None,
        kernels: str = "e3nn",
    ) -> None:
        self.store = store
        self.slots = slots
        self.rooms = rooms or Rooms(cpus=slots)
        self.compiling = compiling or Compiling()
        self.kernels = kernels
        self.on_progress = on_progress
        self.on_ended = on_ended
        self.constant: Mapping[str, Any] = {}
        self.stopping = False
        self.unfinished_stages: list[Ended] = []
        self.warnings: list[str] = []
        self.unwritten: Counter[str] = Counter()
        self.choices: list[Choice] = []
        self._grow = grow
        self._estimate = estimate
        self._seconds: dict[str, float] = {}
        self._expected_s = self._spent_s = 0.0
        self._samples = 0
        self._deaths: dict[str, tuple[int, int]] = {}
        self._first_start: float | None = None
        self._statuses = store.statuses()
        self._ahead, self._ahead_s = 0, 0.0
        self._left: set[str] = set()
        self._left_s = 0.0
        self._again: set[str] = set()
        self.schedule = Schedule({}, weight=lambda stage_id: self._seconds[stage_id])
        self.tunings = Tunings(store)
        self.compaction = Compaction(store)
        self.progress = Progress(total=0)
        self.graph = graph
        self._take(graph)
        self._choose()

    @property
    def unfinished(self) -> int:
        """Stages and trials that wait, are ready, or run."""
        return self.schedule.unfinished + self.tunings.left

    @property
    def running(self) -> int:
        """Stages and trials that run."""
        return len(self.schedule.running) + self.tunings.running

    def start(self) -> tuple[str, dict[str, Any]] | None:
        """Start the next trial, or else the next stage: its id and configuration."""
        trial: tuple[str, int] | None = None
        if asked := self.tunings.start(self.schedule.is_done):
            stage, trial = asked
            self._seconds.setdefault(stage.id, self._estimate.seconds(stage))
        else:
            stage_id = self.schedule.start()
            if stage_id is None:
                return None
            stage = self.graph.stages[stage_id]
        if not self.rooms.enter(stage):
            self._return(stage)
            return None
        if self._first_start is None:
            self._first_start = time.perf_counter()
        self._tell()
        return stage.id, {
            **self.constant,
            **self.rooms.config(stage),
            worker.STAGE: stage.model_dump_json(),
            worker.AGAIN: stage.id in self._again,
            worker.TRIAL: trial,
            worker.COMPILED: self.compiling.wanted(stage),
            worker.WAITS: self.compiling.waits(stage),
            worker.KERNELS: "e3nn" if self._died_often(stage.id) else self.kernels,
        }

    def ended(self, stage_id: str, result: Mapping[str, Any] | None) -> None:
        """Take note of how a stage ended; the result is None if its worker died.

        Such a stage starts again from its last checkpoint, and so does one that stopped as asked.
        """
        stage = self.tunings.stage(stage_id) or self.graph.stages[stage_id]
        self.rooms.leave(stage_id)
        if result is None or "status" not in result:
            if self.stopping or self._may_start_again(stage_id):
                self._put_back(stage)
                return
            reason = (
                f"its worker died {CRASHES + 1} times, perhaps for want of memory, "
                "or lost its GPU: see its log"
            )
            result = self._failed(stage, reason)
        elif result["status"] == worker.OUT_OF_MEMORY:
            if self.stopping or self.rooms.enlarge(stage):
                self._put_back(stage)
                return
            result = self._failed(stage, self.rooms.too_large(stage))
        status: str = result["status"]
        if status == worker.INTERRUPTED:
            self._put_back(stage)
            return
        self.compaction.row_came()
        self._leave(stage_id)
        self.on_ended(stage_id)
        if status == "finished":
            self._samples += result["samples_seen"] or 0  # none if it was adopted meanwhile
            self._expected_s += self._seconds[stage_id]
            self._spent_s += result["wall_time_s"] * (self.rooms.of(stage).share or 1.0)
            if stage.purpose == "science":
                self.warnings += [f"{stage_id}: {text}" for text in result["warnings"]]
        elif stage.purpose == "science":
            self.unfinished_stages.append(Ended(stage_id, status, result["reason"]))
        count = getattr(self.progress, status) + 1
        self.progress = replace(self.progress, **{status: count})
        if stage.purpose == "tune":
            self.tunings.ended(stage_id, self.store.row(stage_id))
            self._choose()
        else:
            self._skip(self.schedule.complete(stage_id, status))
        self._give_up()
        self._tell()

    def _may_start_again(self, stage_id: str) -> bool:
        """Whether a stage whose worker died may start again.

        Deaths count as long as the stage gets no further: on machines that come and go it loses
        its worker often, and is not to blame.
        """
        step = _checkpointed(self.store, stage_id)
        furthest, deaths = self._deaths.get(stage_id, (step, 0))
        deaths = deaths + 1 if step <= furthest else 1
        self._deaths[stage_id] = max(furthest, step), deaths
        return deaths <= CRASHES

    def _died_often(self, stage_id: str) -> bool:
        """Whether a stage may be the death of its workers, and starts for the last time."""
        return self._deaths.get(stage_id, (0, 0))[1] >= CRASHES

    def _failed(self, stage: Stage, reason: str) -> dict[str, Any]:
        """Publish that a stage has failed of which its worker left no row."""
        log = log_file(stage.id, self.store.next_attempt(stage.id) - 1)
        self._publish(stage, "failed", reason, log_file=log)
        return {"status": "failed", "reason": reason}

    def _leave(self, stage_id: str) -> None:
        """Take a stage out of what is left."""
        if stage_id in self._left:
            self._left.remove(stage_id)
            self._left_s = self._left_s - self._seconds[stage_id] if self._left else 0.0

    def _put_back(self, stage: Stage) -> None:
        self._return(stage)
        self._tell()

    def _return(self, stage: Stage) -> None:
        """Let a stage that was to start, or has stopped, start later."""
        if stage.purpose == "tune":
            self.tunings.put_back(stage.id)
        else:
            self.schedule.put_back(stage.id)

    def _take(self, graph: StudyGraph) -> None:
        """Add the stages and tunings of a study that are new."""
        new = {s: stage for s, stage in graph.stages.items() if s not in self._seconds}
        self.graph = graph
        self._seconds |= {s: self._estimate.seconds(stage) for s, stage in new.items()}
        later = [t.trial(t.untuned) for t in graph.later for _ in range(t.trials)]
        self._ahead = len(graph.waiting) + len(later)
        self._ahead_s = sum(self._estimate.seconds(s) for s in (*graph.waiting, *later))
        statuses = self._statuses
        gone = without_model(graph, statuses, self.store)
        left = {s.id for s in missing(graph, statuses, gone)} & new.keys()
        self._left |= left
        self._left_s += sum(self._seconds[s] for s in left)
        self._again |= gone & left
        done = frozenset(s for s in new if statuses.get(s) == "finished") - self._again
        diverged = [s for s in new if statuses.get(s) == "diverged"]
        parents = {stage.id: stage.parent_id for stage in graph.stages.values()}
        skips = self.schedule.extend(parents, done)
        for stage_id in diverged:
            skips += self.schedule.exclude(stage_id, "diverged")
        self.tunings.extend(graph.tunings)
        cached = self.progress.cached + len(done) + len(diverged)
        self.progress = replace(self.progress, cached=cached)
        self._skip(skips)
        self._give_up()
        self.progress = replace(self.progress, total=self._total())
        self._decide()

    def _decide(self) -> None:
        """Decide which stages train compiled, from all that is left."""
        trials = (t.template for t, n in self.tunings.to_come() for _ in range(n))
        left = (self.graph.stages[stage_id] for stage_id in self._left)
        self.compiling.decide((*left, *self.graph.waiting, *trials), self.slots)

    def _choose(self) -> None:
        """Make the choices whose trials have ended, and add the stages that waited for them."""
        while self._grow is not None and (made := self.tunings.made()):
            self.choices.append(made)
            self._take(self._grow(self.choices))

    def _give_up(self) -> None:
        """Name the tunings that cannot be made, and so what waits for them."""
        for where, reason in self.tunings.give_up(self.schedule.lost):
            self.unfinished_stages.append(Ended(where, "not tuned", reason))
            self.progress = replace(self.progress, failed=self.progress.failed + 1)

    def _skip(self, skips: list[Skip]) -> None:
        for skip in skips:
            self._leave(skip.stage_id)
            if self._statuses.get(skip.stage_id) != "skipped":
                self._publish(self.graph.stages[skip.stage_id], "skipped", skip.reason)
            self.unfinished_stages.append(Ended(skip.stage_id, "skipped", skip.reason))
        self.progress = replace(self.progress, skipped=self.progress.skipped + len(skips))

    def _publish(self, stage: Stage, status: str, reason: str, log_file: str | None = None) -> None:
        """Add a row of a stage that has none; not while another run trains it, for that will."""
        row = {
            "stage_id": stage.id,
            "status": status,
            "purpose": stage.purpose,
            "parent_id": stage.parent_id,
            "root_id": stage.root_id,
            "reason": reason,
            "log_file": log_file,
        }
        try:
            with turn(self.store, stage.id, give_up=lambda: True) as ours:
                if ours:
                    self.store.publish({**row, "attempt": self.store.next_attempt(stage.id)})
        except (OSError, StoreError) as error:
            self.unwritten[str(error)] += 1

    def _total(self) -> int:
        """Stages of the study and trials of this run, those that wait for a choice included."""
        tunings = self.tunings
        trials = tunings.started + tunings.left - tunings.running + tunings.given_up
        ahead = self._ahead if self.unfinished else 0
        return len(self.graph.stages) + ahead + trials

    def _tell(self) -> None:
        rate, slower = None, 1.0
        if self._samples and self._first_start is not None:
            rate = self._samples / (time.perf_counter() - self._first_start)
            slower = self._spent_s / self._expected_s
        seconds = self._left_s + self._ahead_s
        seconds += sum(n * self._estimate.seconds(t.template) for t, n in self.tunings.to_come())
        self.progress = replace(
            self.progress,
            total=self._total(),
            running=self.running,
            structures_per_second=rate,
            left_s=slower * seconds / self.slots,
        )
        self.on_progress(self.progress)


def _checkpointed(store: Store, stage_id: str) -> int:
    """The step of an interrupted run's file; 0 if there is none that can be read."""
    name = checkpoint(stage_id, PROGRESS)
    try:
        with store.local(name) as files:
            return int(read_header(files.path(name), "progress").content["step"])
    except (KeyError, StoreError, TypeError, TrainingError, ValueError):
        return 0

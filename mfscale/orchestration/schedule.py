"""Which stage may start now: the bookkeeping of a graph of stages, without Ray."""

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

DONE = frozenset({"finished"})


@dataclass(frozen=True)
class Skip:
    """A stage that cannot run, and why."""

    stage_id: str
    reason: str


class Schedule:
    """Hands out stages whose parent is done; each once; longest chains of children first.

    Parameters
    ----------
    parents
        Stage → its parent, or None; every parent is itself a key.
    done
        Stages that are finished already and only serve their children.
    weight
        Stage → expected work in any unit. Among ready stages the one with the most work waiting
        behind it goes first, which keeps all slots busy until the end.

    Raises
    ------
    KeyError
        If a parent is missing.
    """

    def __init__(
        self,
        parents: Mapping[str, str | None],
        done: frozenset[str] = frozenset(),
        weight: Callable[[str], float] = lambda _: 1.0,
    ) -> None:
        self._weight = weight
        self._children: dict[str, list[str]] = {}
        self._parents: dict[str, str | None] = {}
        self._done: set[str] = set()
        self._waiting: set[str] = set()
        self._lost: dict[str, str] = {}
        self._behind: dict[str, float] = {}
        self._ready: set[str] = set()
        self._queue: list[tuple[float, str]] = []  # a heap of the ready, and of some no more so
        self.running: set[str] = set()
        self.extend(parents, done)

    def extend(
        self, parents: Mapping[str, str | None], done: frozenset[str] = frozenset()
    ) -> list[Skip]:
        """Add stages; return those that cannot run, for what they start from did not finish.

        `parents` and `done` are as above, of the new stages and perhaps of known ones, which stay
        as they are.
        """
        new = {stage: parent for stage, parent in parents.items() if stage not in self._parents}
        self._parents |= new
        self._done |= done & new.keys()
        self._waiting |= new.keys() - self._done
        self._children |= {stage: [] for stage in new}
        for stage, parent in new.items():
            if parent is not None:
                self._children[parent].append(stage)
        # A stage that is done needs nothing of its parent, so no work waits there.
        needed = {s: None if s in self._done else parent for s, parent in self._parents.items()}
        self._behind = _work_behind(needed, self._weight)
        skipped = [
            skip
            for lost in {parent for parent in new.values() if parent in self._lost}
            for skip in self._skip_below(lost, self._lost[lost])
        ]
        self._queue = [self._turn(stage) for stage in self._ready]
        heapq.heapify(self._queue)
        free = (s for s in new if s in self._waiting)
        self._release(s for s in free if self._parents[s] is None or self._parents[s] in self._done)
        return skipped

    def is_done(self, stage: str) -> bool:
        """Whether a stage has finished."""
        return stage in self._done

    def lost(self, stage: str) -> str | None:
        """Why a stage will not finish; None if it may."""
        return self._lost.get(stage)

    @property
    def unfinished(self) -> int:
        """Stages that are waiting, ready or running."""
        return len(self._waiting) + len(self._ready) + len(self.running)

    def start(self) -> str | None:
        """The next stage to run, from now on running; None if none is ready."""
        while self._queue:
            _, stage = heapq.heappop(self._queue)
            if stage in self._ready:
                self._ready.remove(stage)
                self.running.add(stage)
                return stage
        return None

    def complete(self, stage: str, status: str) -> list[Skip]:
        """Record how a running stage ended: its children become ready, or all below are skipped."""
        self.running.discard(stage)
        if status not in DONE:
            return self._skip_below(stage, status)
        self._done.add(stage)
        self._release(self._waiting_children(stage))
        return []

    def put_back(self, stage: str) -> None:
        """Let a running stage that has not ended start again."""
        self.running.discard(stage)
        self._release([stage])

    def exclude(self, stage: str, status: str) -> list[Skip]:
        """Take out a stage that will not run, e.g. one known to diverge, and skip all below it."""
        self._waiting.discard(stage)
        self._ready.discard(stage)
        return self._skip_below(stage, status)

    def _skip_below(self, stage: str, status: str) -> list[Skip]:
        self._lost[stage] = status
        skipped = []
        below = deque((child, stage) for child in self._waiting_children(stage))
        while below:
            child, parent = below.popleft()
            self._waiting.discard(child)
            how = status if parent == stage else "was skipped"
            self._lost[child] = "was skipped"
            skipped.append(Skip(child, f"the stage it starts from, {parent}, {how}"))
            below.extend((below_it, child) for below_it in self._waiting_children(child))
        return skipped

    def _waiting_children(self, stage: str) -> list[str]:
        return [child for child in self._children[stage] if child in self._waiting]

    def _release(self, stages: Iterable[str]) -> None:
        for stage in stages:
            self._waiting.discard(stage)
            self._ready.add(stage)
            heapq.heappush(self._queue, self._turn(stage))

    def _turn(self, stage: str) -> tuple[float, str]:
        """What ready stages are ordered by."""
        return -self._behind[stage], stage


def _work_behind(
    parents: Mapping[str, str | None], weight: Callable[[str], float]
) -> dict[str, float]:
    """Each stage's own work plus the heaviest chain below it (its critical path)."""
    children: dict[str, list[str]] = {stage: [] for stage in parents}
    for stage, parent in parents.items():
        if parent is not None:
            children[parent].append(stage)
    behind: dict[str, float] = {}
    for root in (stage for stage, parent in parents.items() if parent is None):
        stack = [(root, False)]
        while stack:
            stage, seen = stack.pop()
            if not seen:
                stack.append((stage, True))
                stack.extend((child, False) for child in children[stage])
            else:
                below = max((behind[child] for child in children[stage]), default=0.0)
                behind[stage] = weight(stage) + below
    return behind

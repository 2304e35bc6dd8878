"""What each stage has to run in: a share of a GPU, or a core, and its batches whole or in parts.

A stage that ran out of memory goes on with the next larger share, at a whole GPU (or on cores) with
its batches in twice as many parts, until a part is a single structure.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from mfscale.orchestration import worker
from mfscale.study import Stage

SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
"""Of a GPU: whole numbers of each fill one."""

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Room:
    """What a stage has: a share of a GPU, 0 for none, and the parts its batches come in."""

    share: float
    parts: int = 1

    def __str__(self) -> str:
        """In the words of a warning."""
        where = f"1/{1 / self.share:g} of a GPU" if 0 < self.share < 1 else "a whole GPU"
        if not self.share:
            where = "the machine's memory"
        return where if self.parts == 1 else f"{where} and its batches in {self.parts} parts"


class Rooms:
    """The rooms of a run's stages.

    Parameters
    ----------
    cpus, gpus
        What there is.
    share
        Of a GPU, that each stage begins with; None: as much as it is estimated to need, and no more
        stages at once than there are cores, for each keeps one busy.
    need
        Bytes of a GPU that a stage is estimated to need.

    Attributes
    ----------
    gpu_bytes
        Memory of each GPU; None as long as nobody knows: then stages begin with whole ones, unless
        `share` says otherwise.
    """

    def __init__(
        self,
        *,
        cpus: int,
        gpus: int = 0,
        share: float | None = None,
        need: Callable[[Stage], float] = lambda _: math.inf,
    ) -> None:
        self.cpus = cpus
        self.gpus = gpus
        self.gpu_bytes: float | None = None
        self._share = share
        self._need = need
        self._rooms: dict[str, Room] = {}
        self._notes: dict[str, list[str]] = {}
        self._taken: dict[str, float] = {}

    @property
    def at_once(self) -> int:
        """The most stages that can run at the same time."""
        return math.floor(self.gpus / self._smallest + _ROUNDING) if self.gpus else self.cpus

    @property
    def by_memory(self) -> bool:
        """Whether it matters how much memory GPUs have."""
        return self.gpus > 0 and self._share is None

    @property
    def _smallest(self) -> float:
        if self._share is not None:
            return self._share
        return next((s for s in SHARES if self.gpus <= s * self.cpus + _ROUNDING), 1.0)

    def of(self, stage: Stage) -> Room:
        """The room that a stage has, or begins with."""
        if stage.id not in self._rooms:
            self._rooms[stage.id] = Room(self._first(stage) if self.gpus else 0.0)
        return self._rooms[stage.id]

    def enter(self, stage: Stage) -> bool:
        """Take a stage's room, if there is as much; cores are Ray's to count."""
        share = self.of(stage).share
        if sum(self._taken.values()) + share > self.gpus + _ROUNDING:
            return False
        self._taken[stage.id] = share
        return True

    def leave(self, stage_id: str) -> None:
        """Give a stage's room to others, until it enters again."""
        self._taken.pop(stage_id, None)

    def enlarge(self, stage: Stage) -> bool:
        """Give more room to a stage that ran out of memory; false if there is no more to give."""
        room = self.of(stage)
        larger = self._larger(room, stage)
        if larger is None:
            return False
        self._rooms[stage.id] = larger
        note = f"ran out of memory with {room}; went on with {larger}"
        self._notes.setdefault(stage.id, []).append(note)
        return True

    def too_large(self, stage: Stage) -> str:
        """Why a stage fails that can be given no more room, and what to do."""
        room = self.of(stage)
        what = "a GPU with more memory" if room.share else "fewer stages at once (--cpus)"
        return (
            f"ran out of memory with {room}, one structure each; take a smaller model.size or "
            f"cutoff_a, or {what}"
        )

    def config(self, stage: Stage) -> dict[str, Any]:
        """What the stage's worker and Ray are told of its room."""
        room = self.of(stage)
        cpus = self.cpus * room.share / self.gpus if self.gpus else 1.0
        threads = max(1, math.floor(cpus + _ROUNDING))
        return {
            worker.CPUS: math.floor(1e4 * min(cpus, float(threads))) / 1e4,  # as fine as Ray counts
            worker.THREADS: threads,
            worker.GPU: room.share,
            worker.PARTS: room.parts,
            worker.NOTES: list(self._notes.get(stage.id, ())),
        }

    def _first(self, stage: Stage) -> float:
        if self._share is not None:
            return self._share
        if self.gpu_bytes is None:
            return 1.0
        needed = self._need(stage) / self.gpu_bytes
        return next((s for s in SHARES if s >= max(needed, self._smallest)), 1.0)

    def _larger(self, room: Room, stage: Stage) -> Room | None:
        if 0 < room.share < 1:
            return replace(room, share=next(s for s in SHARES if s > room.share))
        labels = sum(head.size for head in stage.heads.values())
        batch = min(stage.hyperparameters.batch_size, labels)
        return replace(room, parts=min(2 * room.parts, batch)) if room.parts < batch else None

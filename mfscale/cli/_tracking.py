"""What ``run``, ``retry`` and ``track`` share: which tracker, and telling it of a run's stages."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from mfscale.cli._output import stderr

if TYPE_CHECKING:
    from mfscale.results import Store
    from mfscale.study import Choice, StudyGraph
    from mfscale.tracking import Follower, TrackedStage

    Grow = Callable[[Sequence[Choice]], StudyGraph]

PATIENCE_S = 60.0
"""How long the end of a run waits for a tracker that has not taken all stages."""
SHORT_PATIENCE_S = 3.0
"""The same after a signal: who sent it may kill what takes long."""


class TrackerName(StrEnum):
    """A tracker; the extra that installs it has the same name."""

    tensorboard = "tensorboard"
    wandb = "wandb"
    mlflow = "mlflow"


def _loaded(names: list[TrackerName] | None) -> list[TrackerName] | None:
    """Load the trackers, so that one that is missing ends the command before anything starts."""
    from mfscale.tracking import load

    for name in names or ():
        load(name)
    return names


TrackOption = Annotated[
    list[TrackerName] | None,
    typer.Option(
        "--track",
        callback=_loaded,
        help="Copy each stage that ends to this tracker; may be repeated.",
    ),
]


class Following:
    """The trackers that follow a run, and the run's study, which grows with its choices."""

    def __init__(self, names: Iterable[TrackerName], store: "Store", graph: "StudyGraph") -> None:
        self._store = store
        self._graph = graph
        self._patience_s = PATIENCE_S
        self._followers = [self._follower(name.value) for name in dict.fromkeys(names)]

    def tell(self, stage_id: str) -> None:
        """Tell the trackers that a stage has ended; returns at once."""
        for follower in self._followers:
            follower.ended(stage_id)

    def growing(self, grow: "Grow") -> "Grow":
        """Grow the study as `grow` does, and know of it."""

        def grown(choices: "Sequence[Choice]") -> "StudyGraph":
            self._graph = grow(choices)
            return self._graph

        return grown

    def hurry(self) -> None:
        """Wait less at the end."""
        self._patience_s = SHORT_PATIENCE_S

    def close(self) -> None:
        """Wait a while for trackers that have not taken all; Ctrl-C waits no longer."""
        for follower in self._followers:
            with suppress(KeyboardInterrupt):
                follower.close(self._patience_s)

    @property
    def written(self) -> dict[str, int]:
        """How many stages were written, by the place where they are."""
        return {f.place: f.written for f in self._followers if f.place is not None}

    def _follower(self, name: str) -> "Follower":
        from mfscale.tracking import Follower, load, read_stage

        def read(stage_id: str) -> "TrackedStage | None":
            places = self._graph.uses.get(stage_id, ())
            return read_stage(self._store, stage_id, study=self._graph.name, places=places)

        def warn(reason: str) -> None:
            stderr.print(
                Text("warning", "yellow"),
                f"{reason}; the run goes on without it. "
                f"Later: mfscale track --to {name} --store {self._store}",
                soft_wrap=True,
            )

        return Follower(name, load(name), read, warn)


@contextmanager
def following(
    names: Iterable[TrackerName] | None, store: "Store", graph: "StudyGraph"
) -> Iterator[Following]:
    """Have trackers follow a run for the time of the block, and a while after it."""
    trackers = Following(names or (), store, graph)
    try:
        yield trackers
    finally:
        trackers.close()

"""A campaign as a Ray Tune searcher: Tune asks what to run next, the campaign answers."""

from collections.abc import Mapping
from typing import Any, Protocol

from ray.tune.search import Searcher


class Work(Protocol):
    """What there is to run: `mfscale.orchestration.campaign.Campaign`."""

    @property
    def unfinished(self) -> int:
        """Stages that wait, are ready, or run."""

    @property
    def running(self) -> int:
        """Stages that run."""

    @property
    def stopping(self) -> bool:
        """Whether nothing more is to start."""

    def start(self) -> tuple[str, dict[str, Any]] | None:
        """Start the next stage: its id and the trial's configuration; None if none is ready."""

    def ended(self, stage_id: str, result: Mapping[str, Any] | None) -> None:
        """Take note of Tune's result of a stage, None if it crashed."""


class GraphSearcher(Searcher):
    """Suggests stages as they become ready.

    Tune polls a searcher that answers None for as long as it likes; so None is only answered
    while something runs, and nothing running with something left is an error, not a wait.
    """

    def __init__(self, work: Work) -> None:
        super().__init__()
        self._work = work
        self._trials: dict[str, str] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its searcher to restore runs, which here the store does."""
        return {}

    def set_search_properties(
        self,
        metric: str | None,  # noqa: ARG002 - Tune's signature
        mode: str | None,  # noqa: ARG002
        config: dict[str, Any],  # noqa: ARG002
        **spec: Any,  # noqa: ARG002, ANN401
    ) -> bool:
        """Accept whatever Tune says: nothing is optimised here."""
        return True

    def suggest(  # type: ignore[override]  # Tune's annotation forgets FINISHED
        self, trial_id: str
    ) -> dict[str, Any] | str | None:
        """Configure the next ready stage; None while its parent runs; FINISHED at the end."""
        finished: str = Searcher.FINISHED
        if self._work.stopping:
            return finished
        if (started := self._work.start()) is not None:
            self._trials[trial_id], config = started
            return config
        if not self._work.unfinished:
            return finished
        if not self._work.running:
            raise RuntimeError(
                f"{self._work.unfinished} stages wait and none runs: the stage graph is broken"
            )
        return None

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Release the stage's children, skip all below it, or put it back."""
        self._work.ended(self._trials.pop(trial_id), None if error else result)

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the store is the truth, and a new run starts from it."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing."""

"""The stage graph as a Ray Tune searcher: Tune asks what to run next, the schedule answers."""

from collections.abc import Callable, Mapping
from typing import Any

from ray.tune.search import Searcher

from mfscale.orchestration.schedule import Schedule, Skip


class GraphSearcher(Searcher):
    """Suggests stages as they become ready.

    Tune polls a searcher that answers None for as long as it likes; so None is only answered
    while something runs, and nothing running with something left is an error, not a wait.

    Parameters
    ----------
    schedule
        What may run; stages are started through it.
    config
        Stage → the trial's configuration, small.
    ended
        Called with a stage and Tune's result, or None if the trial crashed; returns the status.
    skipped
        Called with the stages that can no longer run.
    """

    def __init__(
        self,
        schedule: Schedule,
        config: Callable[[str], dict[str, Any]],
        ended: Callable[[str, Mapping[str, Any] | None], str],
        skipped: Callable[[list[Skip]], None],
    ) -> None:
        super().__init__()
        self._schedule = schedule
        self._config = config
        self._ended = ended
        self._skipped = skipped
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
        stage = self._schedule.start()
        if stage is not None:
            self._trials[trial_id] = stage
            return self._config(stage)
        if not self._schedule.unfinished:
            finished: str = Searcher.FINISHED
            return finished
        if not self._schedule.running:
            raise RuntimeError(
                f"{self._schedule.unfinished} stages wait and none runs: the stage graph is broken"
            )
        return None

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Release the stage's children, or skip all below it."""
        stage = self._trials.pop(trial_id)
        status = self._ended(stage, None if error else result)
        self._skipped(self._schedule.complete(stage, status))

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the store is the truth, and a new run starts from it."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing."""

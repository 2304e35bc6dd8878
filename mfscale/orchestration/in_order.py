"""A Tune scheduler for many trials: in the order they come, and ended ones forgotten.

Imports Ray, so only once that is set up.
"""

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler


class InOrder(FIFOScheduler):
    """Tune's first-in-first-out, at a cost that does not grow with the trials that have ended.

    Tune's own goes through all trials for each that starts. And Tune keeps every trial to its end
    and then writes them down: of ten thousand stages, gigabytes. So a trial that has ended loses
    its configuration, where nothing else holds it, and the statistics of every figure it reported.

    A callback could forget too, but Ray counts users' callbacks, and imports whatever experiment
    trackers are installed to do so: seconds.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._waiting: dict[str, Trial] = {}

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:  # noqa: ANN401, ARG002
        """Remember a trial that is to run."""
        self._waiting[trial.trial_id] = trial

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:  # noqa: ANN401, ARG002
        """The first that waits; one that runs is remembered, for it may have to wait again."""
        return next((t for t in self._waiting.values() if t.status == Trial.PENDING), None)

    def on_trial_complete(
        self,
        tune_controller: Any,  # noqa: ANN401, ARG002 - Tune's signature
        trial: Trial,
        result: dict[str, Any],  # noqa: ARG002
    ) -> None:
        """Forget what nothing asks for any more."""
        self._waiting.pop(trial.trial_id, None)
        trial.config = {}
        trial.run_metadata.metric_analysis.clear()
        trial.run_metadata.metric_n_steps.clear()

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:  # noqa: ANN401, ARG002
        """Forget that it waits: the campaign starts its stage again as another trial."""
        self._waiting.pop(trial.trial_id, None)

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:  # noqa: ANN401, ARG002
        """Forget one that never ran."""
        self._waiting.pop(trial.trial_id, None)

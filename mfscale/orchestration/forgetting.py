"""What Tune need not remember of a trial that has ended: the store has it.

Imports Ray, so only once that is set up.
"""

from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial


class Forgetting(Callback):
    """Drops a trial's configuration and its statistics of every figure it reported.

    Tune keeps all trials to its end and then writes them down: of ten thousand stages, gigabytes.
    """

    def on_trial_complete(
        self,
        iteration: int,  # noqa: ARG002 - Tune's signature
        trials: list[Trial],  # noqa: ARG002
        trial: Trial,
        **_: Any,  # noqa: ANN401
    ) -> None:
        """Forget what nothing asks for any more."""
        trial.config = {}
        trial.run_metadata.metric_analysis.clear()
        trial.run_metadata.metric_n_steps.clear()

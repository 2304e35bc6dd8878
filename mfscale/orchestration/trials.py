"""The trials of a tuning: asked of Optuna, one stage each, and kept on disk between runs.

Optuna's journal in the store holds what was asked and told, so that a tuning goes on where it was
interrupted. A trial is given up early where its validation error is above the median of the earlier
trials at the same step, from a quarter of the cap on (Optuna's median pruning).
"""

import math
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, Trial, TrialState

from mfscale.orchestration.cluster import OrchestrationError
from mfscale.orchestration.journal import journal_of, storage
from mfscale.results import Store, StoreError
from mfscale.study import Choice, Range, Stage, Tuning

FIRST = 4
"""Trials that are never pruned, and after which Optuna models instead of drawing at random."""

_UNUSABLE = (AssertionError, AttributeError, LookupError, OSError, TypeError, ValueError)
"""What reading a damaged journal ends in."""

optuna.logging.set_verbosity(optuna.logging.ERROR)


class Trials:
    """Hands out the trials of one tuning and makes the choice when the last has ended.

    The first trial has the settings that the study would have had untuned, where they lie within
    the space. The others follow Optuna's tree-structured Parzen estimator, seeded by the tuning.

    Parameters
    ----------
    tuning
        What is to be chosen.
    store
        Where its journal is, or will be.
    """

    def __init__(self, tuning: Tuning, store: Store) -> None:
        self.tuning = tuning
        self._space = {name: _distribution(v) for name, v in tuning.space.items()}
        try:
            self._study = optuna.create_study(
                study_name=tuning.key, storage=storage(store, tuning.key), load_if_exists=True
            )
            untuned = tuning.untuned
            if all(_within(d, untuned[name]) for name, d in self._space.items()):
                self._study.enqueue_trial(untuned, skip_if_exists=True)
            interrupted = [t for t in self._study.trials if t.state == TrialState.RUNNING]
        except StoreError:
            raise
        except _UNUSABLE as error:
            raise OrchestrationError(
                f"{store.place.of(journal_of(tuning.key))} cannot be used ({error}); delete it: "
                "trials that have ended have rows in the store and are not trained again"
            ) from None
        self._again = deque(trial.number for trial in interrupted)
        self._running: dict[str, list[int]] = {}
        self._ended: dict[str, tuple[float | None, bool]] = {}

    @property
    def running(self) -> int:
        """Stages that are being trained."""
        return len(self._running)

    @property
    def left(self) -> int:
        """Trials that have not ended."""
        first = self._study.trials[: self.tuning.trials]
        return self.tuning.trials - sum(trial.state.is_finished() for trial in first)

    def ask(self) -> tuple[Stage, int] | None:
        """The next trial's stage and number; None if all have been handed out.

        A trial equal to one that is running or has ended takes its result.
        """
        while True:
            number = self._next()
            if number is None:
                return None
            params = self._study.trials[number].params
            stage = self.tuning.trial(params)
            if stage.id in self._ended:
                self._tell(number, *self._ended[stage.id])
            elif stage.id in self._running:
                self._running[stage.id].append(number)
            else:
                self._running[stage.id] = [number]
                return stage, number

    def tell(self, stage_id: str, row: Mapping[str, Any] | None) -> None:
        """Take note of how a trial's stage ended: its result row, or None if there is none."""
        finished = row is not None and row["status"] == "finished"
        pruned = finished and row is not None and row["stop_reason"] == "pruned"
        error = objective(row) if finished and row is not None else None
        self._ended[stage_id] = error, pruned
        for number in self._running.pop(stage_id):
            self._tell(number, error, pruned)

    def put_back(self, stage_id: str) -> None:
        """Let a trial's stage that has not ended be asked for again."""
        self._again.extendleft(reversed(self._running.pop(stage_id)))

    def choice(self) -> Choice | None:
        """The best of all trials; None if none of them came to an end."""
        trials = self._study.trials[: self.tuning.trials]
        complete = [t for t in trials if t.state == TrialState.COMPLETE]
        if not complete:
            return None
        best = min(complete, key=_value)
        untuned = [t for t in complete if t.params == self.tuning.untuned]
        return Choice(
            key=self.tuning.key,
            search=self.tuning.search,
            signature=self.tuning.signature,
            where=self.tuning.where,
            values=best.params,
            error_mev=_value(best),
            untuned_mev=_value(untuned[0]) if untuned else None,
            trials=self.tuning.trials,
            pruned=sum(t.state == TrialState.PRUNED for t in trials),
        )

    def _next(self) -> int | None:
        if self._again:
            number = self._again.popleft()
            self._complete(number)
            return number
        trials = self._study.trials
        asked = sum(trial.state != TrialState.WAITING for trial in trials)
        if asked >= self.tuning.trials:
            return None
        self._study.sampler = _sampler(self.tuning, asked)
        return self._study.ask(self._space).number

    def _complete(self, number: int) -> None:
        """Give a trial the settings that a kill, just as it was asked for, kept it from."""
        trial = self._study.trials[number]
        if trial.params.keys() != self._space.keys():
            self._study.sampler = _sampler(self.tuning, number)
            attached = Trial(self._study, trial._trial_id)  # noqa: SLF001 - as in `watch`
            for name, distribution in self._space.items():
                attached._suggest(name, distribution)  # noqa: SLF001 - any kind, as `ask` does

    def _tell(self, number: int, error: float | None, pruned: bool) -> None:
        state = None
        if error is None or pruned:
            state = TrialState.PRUNED if pruned else TrialState.FAIL
        value = error if state is None else None
        # Another run on the store may have told the same already.
        self._study.tell(number, value, state=state, skip_if_finished=True)


def objective(row: Mapping[str, Any]) -> float | None:
    """What a trial is judged by: validation MAE of total energies, meV.

    The geometric mean over the heads that learn, each on its own validation part, so that no unit
    or weight of a head decides. None if there is no finite one.
    """
    errors = [
        e["value"]
        for e in row["evaluations"]
        if (e["moment"], e["metric"], e["unit"]) == ("end", "energy_mae", "meV")
        and e["subset"].endswith("/validation")
    ]
    if not errors or not all(0 < error < math.inf for error in errors):
        return None
    return math.exp(sum(map(math.log, errors)) / len(errors))


def watch(store: Store, key: str, number: int, max_steps: int) -> Callable[[int, float], bool]:
    """Whether to give up a trial, given a step and its validation error there; for its worker."""
    journal = storage(store, key)
    study = optuna.load_study(study_name=key, storage=journal, pruner=_pruner(max_steps))
    trial = Trial(study, next(t._trial_id for t in study.trials if t.number == number))  # noqa: SLF001 - Optuna's own way to attach to a trial by number

    def hopeless(step: int, error_mev: float) -> bool:
        trial.report(error_mev, step)
        return trial.should_prune()

    return hopeless


def _pruner(max_steps: int) -> optuna.pruners.BasePruner:
    return optuna.pruners.MedianPruner(n_startup_trials=FIRST, n_warmup_steps=max_steps // 4)


def _sampler(tuning: Tuning, asked: int) -> optuna.samplers.BaseSampler:
    """A sampler whose draws depend on the tuning and on how many trials it has asked for."""
    seed = (int(tuning.key[:8], 16) + asked) % 2**32
    return optuna.samplers.TPESampler(n_startup_trials=FIRST, seed=seed)


def _distribution(values: Range | tuple[Any, ...]) -> BaseDistribution:
    if isinstance(values, tuple):
        return CategoricalDistribution(values)
    if isinstance(values.low, int) and isinstance(values.high, int):
        return IntDistribution(values.low, values.high, log=values.log)
    return FloatDistribution(values.low, values.high, log=values.log)


def _within(distribution: BaseDistribution, value: Any) -> bool:  # noqa: ANN401 - any setting
    try:
        return distribution._contains(distribution.to_internal_repr(value))  # noqa: SLF001 - no public way
    except (TypeError, ValueError):
        return False


def _value(trial: FrozenTrial) -> float:
    if trial.value is None:
        raise RuntimeError(f"trial {trial.number} is complete without a value")
    return trial.value

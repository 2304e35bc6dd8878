"""All tunings of a run: whose trial starts next, which choices are made, which cannot be."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mfscale.results import Store
from mfscale.study import Choice, Stage, Tuning

if TYPE_CHECKING:
    from mfscale.orchestration.trials import Trials


class Tunings:
    """Tunings in progress, each from the stage that its trials start from to its choice.

    Parameters
    ----------
    store
        Where their journals lie.

    Attributes
    ----------
    started
        Trials started in this run.
    given_up
        Tunings that could not be made.
    """

    def __init__(self, store: Store) -> None:
        self.started = 0
        self.given_up = 0
        self._store = store
        self._open: dict[str, Trials] = {}
        self._known: set[str] = set()
        self._stages: dict[str, tuple[Stage, Trials]] = {}

    @property
    def left(self) -> int:
        """Trials that have not ended, of all tunings that may still be made."""
        return sum(trials.left for trials in self._open.values())

    @property
    def running(self) -> int:
        """Trials that run."""
        return sum(trials.running for trials in self._open.values())

    def to_come(self) -> list[tuple[Tuning, int]]:
        """Tunings, with how many of their trials have not ended."""
        return [(trials.tuning, trials.left) for trials in self._open.values()]

    def extend(self, tunings: Sequence[Tuning]) -> None:
        """Add tunings; known ones stay as they are."""
        for tuning in tunings:
            if tuning.key not in self._known:
                from mfscale.orchestration.trials import (  # noqa: PLC0415 - Optuna takes a while
                    Trials,
                )

                self._known.add(tuning.key)
                self._open[tuning.key] = Trials(tuning, self._store)

    def start(self, is_done: Callable[[str], bool]) -> tuple[Stage, tuple[str, int]] | None:
        """The next trial: its stage, its tuning's key and its number; None if none may start.

        Of the tunings whose trials can start, the one with the fewest running: a trial is chosen
        better when the results of the earlier ones are there.
        """
        for trials in sorted(self._open.values(), key=lambda trials: trials.running):
            parent = trials.tuning.template.parent_id
            if (parent is None or is_done(parent)) and (asked := trials.ask()):
                stage, number = asked
                self._stages[stage.id] = stage, trials
                self.started += 1
                return stage, (trials.tuning.key, number)
        return None

    def stage(self, stage_id: str) -> Stage | None:
        """The stage of a trial; None if it is not one of a trial."""
        found = self._stages.get(stage_id)
        return found[0] if found else None

    def ended(self, stage_id: str, row: Mapping[str, Any] | None) -> None:
        """Take note of the row that a trial has left, None if it has left none."""
        self._stages[stage_id][1].tell(stage_id, row)

    def put_back(self, stage_id: str) -> None:
        """Let a trial that has not ended start again."""
        self._stages.pop(stage_id)[1].put_back(stage_id)
        self.started -= 1

    def made(self) -> Choice | None:
        """A choice whose last trial has ended, once; None if there is none."""
        for key, trials in self._open.items():
            if not trials.left and (choice := trials.choice()):
                del self._open[key]
                return choice
        return None

    def give_up(self, lost: Callable[[str], str | None]) -> list[tuple[str, str]]:
        """What cannot be chosen, once, and why.

        `lost` says of a stage why it will not finish.
        """
        found = []
        for key, trials in list(self._open.items()):
            parent = trials.tuning.template.parent_id
            if parent is not None and (why := lost(parent)):
                reason = f"the stage that its trials start from, {parent}, {why}"
            elif not trials.left and trials.choice() is None:
                reason = (
                    f"none of its {trials.tuning.trials} trials came to an end (mfscale triage "
                    "says why); give the space smaller rates"
                )
            else:
                continue
            del self._open[key]
            self.given_up += 1
            found.append((trials.tuning.where, reason))
        return found

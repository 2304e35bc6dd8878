"""Which kinds of stages a run compiles: those whose work is worth more than compiling takes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mfscale.orchestration.estimate import Kind, Rates, kind_of
from mfscale.study import Stage
from mfscale.training.artefacts import Artefacts, kind_of_code

Mode = Literal["auto", "always", "never"]

LIKELY = 0.25
"""Of the steps that a stage may take at most, those it is taken to take: assumed."""


@dataclass(frozen=True)
class Cost:
    """What compiling a kind of stage takes, and what it brings: seconds of one core.

    Attributes
    ----------
    speedup
        Of a training step.
    cold_s
        Once for a user and machine, until the code is kept.
    warm_s
        Once for each process that trains such stages, with the code kept.
    """

    speedup: float
    cold_s: float
    warm_s: float


@dataclass(frozen=True)
class Decision:
    """What compiling the stages of a kind would take and save, in seconds of cores.

    Where a stage alone saves more than making the code takes, those that find it being made wait
    for it; else they train eagerly meanwhile.
    """

    kind: Kind
    stages: int
    takes_s: float
    saves_s: float
    waits: bool

    @property
    def compiled(self) -> bool:
        """Whether it pays."""
        return self.saves_s > self.takes_s


class Compiling:
    """Decides by kind of code, with the work before a run; what is compiled stays so.

    It reckons with reference speeds, whatever a store has measured: the same study is decided
    alike every time, but for code that the machine has by then.

    Parameters
    ----------
    mode
        ``auto`` compiles what pays; ``always`` and ``never`` do not ask.
    costs
        Kind of stage → what compiling it takes; ``auto`` compiles no other.
    estimate
        With reference speeds of uncompiled training.
    kept
        Whether this machine has the code of a kind (`mfscale.training.artefacts.kind_of_code`).
    """

    def __init__(
        self,
        mode: Mode = "never",
        costs: Mapping[Kind, Cost] | None = None,
        estimate: Rates | None = None,
        kept: Callable[[str], bool] = lambda code: Artefacts(code).are_there,
    ) -> None:
        self.mode = mode
        self.decisions: dict[str, Decision] = {}
        self._costs = costs or {}
        self._estimate = estimate and replace(estimate, measured={}, overhead_s=0.0)
        self._kept = kept

    def decide(self, stages: Iterable[Stage], slots: int) -> None:
        """Decide for the kinds of some stages that a run has before it."""
        if self.mode != "auto":
            return
        together: dict[str, list[Stage]] = {}
        for stage in stages:
            together.setdefault(_code(stage), []).append(stage)
        for code, alike in together.items():
            if code not in self.decisions or not self.decisions[code].compiled:
                self.decisions[code] = self._decision(code, alike, slots)

    def wanted(self, stage: Stage) -> bool:
        """Whether a stage is to train compiled."""
        if self.mode != "auto":
            return self.mode == "always"
        decision = self.decisions.get(_code(stage))
        return decision is not None and decision.compiled

    def waits(self, stage: Stage) -> bool:
        """Whether a stage is to wait for code that another is making; else it trains eagerly."""
        decision = self.decisions.get(_code(stage))
        return decision is None or decision.waits

    def _decision(self, code: str, stages: Sequence[Stage], slots: int) -> Decision:
        kind = kind_of(stages[0])
        cost = self._costs.get(kind)
        if cost is None or self._estimate is None:
            return Decision(kind, len(stages), 0.0, 0.0, waits=True)
        work = LIKELY * sum(self._estimate.seconds(stage) for stage in stages)
        saves = work * (1 - 1 / cost.speedup)
        waits = saves > cost.cold_s * len(stages)
        at_once = min(slots, len(stages))
        cold = 0.0 if self._kept(code) else cost.cold_s * (at_once if waits else 1)
        return Decision(kind, len(stages), cost.warm_s * at_once + cold, saves, waits)


def _code(stage: Stage) -> str:
    return kind_of_code(stage, device="cpu", threads=1)

"""Build the stages of each chain of a study with the hyperparameters that tuning has chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from mfscale.study.catalogue import Plain
from mfscale.study.errors import StudyError
from mfscale.study.offers import Offers
from mfscale.study.schema import StrategySpec
from mfscale.study.stage import Stage
from mfscale.study.steps import stage_of
from mfscale.study.tuning import (
    Choice,
    Choices,
    TuneSpec,
    Tuning,
    key_of,
    search_of,
    signature,
    space_of,
    with_values,
)


@dataclass(frozen=True, eq=False)
class Chain:
    """One combination of a strategy: its steps, every axis resolved."""

    strategy: str
    spec: StrategySpec


@dataclass(frozen=True)
class _Place:
    """A step of a chain."""

    chain: Chain
    index: int

    def __str__(self) -> str:
        return f"{self.chain.strategy}[{self.index}]"


class Chooser:
    """Knows, of every step, which choice it takes: one is made for all steps of a signature.

    The trials of a choice train one step of its signature: of those with the smallest seeds the
    one in the middle by number of labels, all steps before it counted. A choice that is not made
    yet ends a chain; it becomes one of `tunings` once all before that step is resolved.

    Parameters
    ----------
    study
        Its name: that of the tuning.
    tune
        The study's block; None where nothing is tuned.
    offers, chains, choices
        What there is to ask for; all combinations of the study; what earlier tunings chose.

    Raises
    ------
    StudyError
        Here and in every method: for a step that asks for what there is not.
    """

    def __init__(
        self,
        study: str,
        tune: TuneSpec | None,
        offers: Offers,
        chains: Sequence[Chain],
        choices: Choices,
    ) -> None:
        self._tune = tune
        self._offers = offers
        self._known = choices
        self._name = (tune.freeze or tune.name or study) if tune else study
        self._untuned: dict[Chain, tuple[Stage, ...]] = {}
        self._signatures: dict[Chain, tuple[str, ...]] = {}
        self._representative: dict[str, _Place] = {}
        self._values: dict[str, Mapping[str, Plain] | None] = {}
        self._tunings: dict[str, Tuning] = {}
        self._later: dict[str, Tuning] = {}
        self._choices: dict[str, Choice] = {}
        if tune is not None:
            self._choose_representatives([c for c in chains if self._is_tuned(c)])

    @property
    def tunings(self) -> tuple[Tuning, ...]:
        """Choices that can be made now, in the order of the file."""
        return tuple(self._tunings.values())

    @property
    def later(self) -> tuple[Tuning, ...]:
        """Choices that wait for others, as they would be if those changed nothing."""
        for each in self._representative:
            self._chosen(each)
        return tuple(tuning for tuning in self._later.values() if tuning.space)

    @property
    def choices(self) -> tuple[Choice, ...]:
        """Choices that were made and asked for."""
        return tuple(self._choices.values())

    def resolved(self, chain: Chain) -> tuple[Stage, ...]:
        """The stages of a chain, up to the first that waits for a choice."""
        if not self._is_tuned(chain):
            return self.untuned(chain)
        return self._resolved(chain, len(chain.spec.steps))

    def untuned(self, chain: Chain) -> tuple[Stage, ...]:
        """All stages of a chain as they are without tuning."""
        if chain not in self._untuned:
            stages: list[Stage] = []
            for index in range(len(chain.spec.steps)):
                stages.append(self._stage(_Place(chain, index), stages[-1] if stages else None))
            self._untuned[chain] = tuple(stages)
        return self._untuned[chain]

    def _is_tuned(self, chain: Chain) -> bool:
        chosen = self._tune.strategies if self._tune else []
        return chosen is None or chain.strategy in chosen

    def _stage(self, place: _Place, parent: Stage | None) -> Stage:
        spec = place.chain.spec
        where = f"strategies.{place}"
        return stage_of(self._offers, spec, spec.steps[place.index], parent, where)

    def _choose_representatives(self, chains: Sequence[Chain]) -> None:
        places: dict[str, list[_Place]] = {}
        for chain in chains:
            signatures: list[str] = []
            for index, stage in enumerate(self.untuned(chain)):
                signatures.append(signature(stage, signatures[-1] if signatures else None))
                places.setdefault(signatures[-1], []).append(_Place(chain, index))
            self._signatures[chain] = tuple(signatures)
        for name, candidates in places.items():
            first = min((p.chain.spec.seed, p.chain.spec.data_seed) for p in candidates)
            alike = [p for p in candidates if (p.chain.spec.seed, p.chain.spec.data_seed) == first]
            alike.sort(key=self._labels)
            self._representative[name] = alike[len(alike) // 2]

    def _labels(self, place: _Place) -> list[int]:
        """Labels of a step and of all before it; the step's own decide first."""
        stages = self.untuned(place.chain)[: place.index + 1]
        return [sum(head.size for head in stage.heads.values()) for stage in reversed(stages)]

    def _resolved(self, chain: Chain, n_steps: int) -> tuple[Stage, ...]:
        stages: list[Stage] = []
        for index in range(n_steps):
            values = self._chosen(self._signatures[chain][index])
            if values is None:
                break
            stage = self._stage(_Place(chain, index), stages[-1] if stages else None)
            tuning = self._name if values else None
            try:
                stages.append(with_values(stage, values, tuning=tuning))
            except (LookupError, ValidationError) as error:
                raise StudyError(
                    f"tune: what choices/{tuning}.json chose for {_in_words(stage)} cannot be set "
                    f"({_first_line(error)}); restore that file, or move it away"
                ) from None
        return tuple(stages)

    def _chosen(self, signature: str) -> Mapping[str, Plain] | None:
        """The values of a choice; None while it is not made."""
        if signature not in self._values:
            self._values[signature] = self._look_up(signature)
        return self._values[signature]

    def _look_up(self, signature: str) -> Mapping[str, Plain] | None:
        place = self._representative[signature]
        tune = self._tune
        assert tune is not None  # noqa: S101 - there are no representatives otherwise
        if tune.freeze is not None:
            return self._frozen(tune.freeze, signature, place)
        before = self._resolved(place.chain, place.index)
        if len(before) < place.index:
            untuned = self.untuned(place.chain)[place.index]
            self._later[signature] = self._tuning(signature, place, untuned, tune)
            return None
        template = self._stage(place, before[-1] if before else None)
        tuning = self._tuning(signature, place, template, tune)
        if not tuning.space:
            return {}
        choice = self._known.get(self._name, {}).get(signature)
        if choice is not None and choice.search == tuning.search:
            self._choices[signature] = choice
            return choice.values
        self._tunings[signature] = tuning
        return None

    def _tuning(self, signature: str, place: _Place, template: Stage, tune: TuneSpec) -> Tuning:
        space = space_of(tune, template)
        search = search_of(space, tune.trials)
        return Tuning(
            name=self._name,
            key=key_of(template, search),
            search=search,
            signature=signature,
            where=f"{place}: {_in_words(template)}",
            template=template.model_copy(update={"tuning": self._name}),
            space=space,
            trials=tune.trials,
        )

    def _frozen(self, name: str, signature: str, place: _Place) -> Mapping[str, Plain]:
        if name not in self._known:
            known = ", ".join(sorted(self._known)) or "none"
            raise StudyError(
                f"tune.freeze: there is no tuning {name!r} in the store, nor in a folder choices/ "
                f"beside the study; known: {known}"
            )
        made = self._known[name]
        if signature not in made:
            wanted = _in_words(self.untuned(place.chain)[place.index])
            known = "; ".join(sorted(choice.where for choice in made.values()))
            raise StudyError(
                f"tune.freeze: tuning {name!r} chose nothing for strategies.{place}, {wanted}; it "
                f"did for {known}. Add such a step to that tuning, or name under tune.strategies "
                "those that take its choices"
            )
        self._choices[signature] = made[signature]
        return made[signature].values


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return f"there is no head {error}"


def _in_words(stage: Stage) -> str:
    heads = " & ".join(
        f"{head.source}{'+forces' if head.forces else ''}" for head in stage.heads.values()
    )
    part = "" if stage.trainable == "all" else f" ({stage.trainable})"
    kind = "" if stage.model.fidelity == "readout" else " with fidelity embedding"
    model = f"{stage.model.architecture} {stage.model.size}{kind}"
    return f"{heads}{part}, {model}, on {stage.dataset}"

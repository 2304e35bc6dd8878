"""Studies that tune, and choices made by hand, for the tests of tunings."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from mfscale.study import (
    Catalogue,
    Choice,
    Choices,
    Range,
    StudyGraph,
    Tuning,
    expand,
    parse_study,
)

RATE = "learning_rate: {low: 0.001, high: 0.1, log: true}"
TUNE = f"tune: {{trials: 4, space: {{{RATE}}}}}\n"
CC = "heads: {cc: {subset: a, size: 20, validation: 8}}"
CC_FROM = "{{subset: a, size: 20, validation: 8, inherit: {}}}"
DFT = "heads: {dft: {subset: b, size: 50, validation: 8}}"


def study(strategies: str, tune: str = TUNE, name: str = "mine") -> str:
    return f"name: {name}\ndataset: toy\n{tune}strategies: {{{strategies}}}\n"


def expanded(catalogue: Catalogue, text: str, choices: Choices | None = None) -> StudyGraph:
    return expand(parse_study(text, source="study.yaml"), catalogue, choices)


def made(tuning: Tuning, values: Mapping[str, Any]) -> Choice:
    """A choice as if trials had found these values best."""
    return Choice(
        key=tuning.key,
        search=tuning.search,
        signature=tuning.signature,
        where=tuning.where,
        values=dict(values),
        error_mev=10.0,
        untuned_mev=None,
        trials=tuning.trials,
        pruned=0,
    )


def last(tuning: Tuning) -> dict[str, Any]:
    """The upper end of every range, the last value of every list."""
    return {n: v.high if isinstance(v, Range) else v[-1] for n, v in tuning.space.items()}


Pick = Callable[[Tuning], Mapping[str, Any]]


def settled(
    catalogue: Catalogue, text: str, pick: Pick = last
) -> tuple[StudyGraph, dict[str, dict[str, Choice]], list[StudyGraph]]:
    """Make choices by hand until none is left; the last graph, the choices and all graphs."""
    choices: dict[str, dict[str, Choice]] = {}
    seen = []
    for _ in range(20):
        graph = expanded(catalogue, text, choices)
        seen.append(graph)
        if not graph.tunings:
            return graph, choices, seen
        for tuning in graph.tunings:
            assert tuning.signature not in choices.get(tuning.name, {})
            choices.setdefault(tuning.name, {})[tuning.signature] = made(tuning, pick(tuning))
    pytest.fail("choices come without end")


CHAIN = study(
    "direct: [{heads: {cc: {subset: a, size: [20, 30], validation: 8}}}],"
    f" chain: [{{heads: {{xtb: {{subset: b, size: [50, 60], validation: 8}}}}}}, {{{DFT}}},"
    "  {heads: {cc: {subset: a, size: [20, 30], validation: 8}}}]"
)

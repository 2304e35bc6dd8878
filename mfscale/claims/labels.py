"""Labelled sets as the columns of result rows tell them: ``xtb:b:400 > dft:b:400+forces``."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import nan

from mfscale.claims.errors import ClaimsError

_FORCES = "+forces"


@dataclass(frozen=True, order=True)
class LabelledSet:
    """Training labels of one method, drawn from one subset."""

    method: str
    subset: str
    size: int
    forces: bool

    def __str__(self) -> str:
        return f"{self.method}:{self.subset}:{self.size}{_FORCES if self.forces else ''}"


Step = tuple[LabelledSet, ...]
"""The labelled sets of the heads that are trained together, in order."""


def steps_of(text: str) -> tuple[Step, ...]:
    """Read the column ``pretraining``, ``labels`` or ``<head>_beside``.

    Examples
    --------
    >>> steps_of("none")
    ()
    >>> [str(labels) for step in steps_of("xtb:b:400 > dft:b:400+forces") for labels in step]
    ['xtb:b:400', 'dft:b:400+forces']
    """
    if text in {"none", ""}:
        return ()
    return tuple(
        tuple(sorted(_labelled_set(part) for part in step.split(" & ")))
        for step in text.split(" > ")
    )


def _labelled_set(text: str) -> LabelledSet:
    method, _, rest = text.partition(":")
    subset, _, size = rest.rpartition(":")
    number = size.removesuffix(_FORCES)
    if not (method and subset and number.isdecimal()):
        raise ClaimsError(
            f"{text!r} is no labelled set; the store's columns write one like 'dft:b:400+forces'"
        )
    return LabelledSet(method, subset, int(number), size.endswith(_FORCES))


def text_of(sets: Iterable[LabelledSet]) -> str:
    """The sets in order, repeats included: equal for what was learned from the same labels."""
    return " & ".join(map(str, sorted(sets)))


def cost_of(sets: Iterable[LabelledSet], costs: Mapping[str, float]) -> float:
    """What the distinct labels cost; NaN if some method has no cost.

    Draws nest, so of several draws from one subset only the largest is paid for.
    """
    largest: dict[tuple[str, str], int] = {}
    for each in sets:
        key = each.method, each.subset
        largest[key] = max(largest.get(key, 0), each.size)
    return float(sum(costs.get(method, nan) * n for (method, _), n in largest.items()))

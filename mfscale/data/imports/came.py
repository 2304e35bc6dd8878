"""What came of an import's sources so far: plain data, which an interrupted import leaves."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mfscale.data.errors import DatasetError
from mfscale.data.imports.method_keys import MethodKeys
from mfscale.data.imports.record import Taken
from mfscale.data.imports.report import Fault
from mfscale.data.imports.spool import Spool

EXAMPLES = 3
"""Structures by which a fault is shown, and of whose keys a message speaks."""


@dataclass
class Faults:
    """Faults of structures, counted by reason; the first few are remembered by place."""

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, place: str) -> None:
        """Count one."""
        self.counts[reason] = self.counts.get(reason, 0) + 1
        examples = self.examples.setdefault(reason, [])
        if len(examples) < EXAMPLES:
            examples.append(place)

    def all(self) -> tuple[Fault, ...]:
        """Each reason once."""
        return tuple(
            Fault(reason=reason, count=count, examples=tuple(self.examples[reason]))
            for reason, count in self.counts.items()
        )


@dataclass
class Came:
    """What came of the sources.

    Attributes
    ----------
    read
        Structures.
    source, structures, done
        The source being read, counted from 0, the structures taken of it, and how far that is.
    faults
        What is wrong with structures.
    keys
        Of the first structures.
    notes
        What the sources say of themselves.
    """

    read: int = 0
    source: int = 0
    structures: int = 0
    done: int = 0
    faults: Faults = field(default_factory=Faults)
    keys: set[str] = field(default_factory=set)
    notes: tuple[str, ...] = ()

    def taken(self) -> Taken:
        """What was taken of the source being read."""
        return Taken(structures=self.structures, done=self.done)

    def end_source(self) -> None:
        """The next source is to be read."""
        self.source += 1
        self.structures = self.done = 0


def check_came(came: Came, methods: Sequence[MethodKeys], spool: Spool, *, drop_bad: bool) -> None:
    """Raise `DatasetError` for structures that cannot be taken, and for methods without a label."""
    bad = sum(came.faults.counts.values())
    if bad and (not drop_bad or bad == came.read):
        remedy = (
            "correct them" if bad == came.read else "correct them, or leave them out: --drop-bad"
        )
        raise DatasetError(
            f"{bad} of {came.read} structures cannot be imported: "
            + "; ".join(map(str, came.faults.all()))
            + f". Please {remedy}; nothing was imported"
        )
    if not came.read:
        raise DatasetError("the sources hold no structures; nothing was imported")
    for method in methods:
        if not np.isfinite(spool.read(f"{method.name}_energy")).any():
            raise DatasetError(
                f"method {method.name}: no structure has an energy {method.energy!r}; keys there "
                f"are {', '.join(sorted(came.keys)) or 'none'}"
            )

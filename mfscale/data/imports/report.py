"""What an import kept, what it left out and why, and what looks wrong."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_LOW_AGREEMENT = 0.5


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Structures that cannot be taken for one reason, and where the first ones are."""

    reason: str
    count: int
    examples: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.count} × {self.reason} (first: {'; '.join(self.examples)})"


@dataclass(frozen=True, kw_only=True)
class MethodReport:
    """Labels of one method.

    Attributes
    ----------
    labels
        Kept.
    by_subset
        Subset of the random split → labels.
    cost, cost_is_known
        Of one label (cc = 1000), and whether it was given or is the paper's.
    contradictions
        Left out: an equal structure has another energy.
    without_forces
        Left out: they lack the forces that the method has.
    outliers, outlier_examples
        Kept, but far from all others after offsets per element; source places of the farthest.
    largest_force_ev_a
        Largest component of a force, eV/Å; None without forces.
    forces_agreement
        Rank correlation of energy differences of near structures with what forces say that they
        are; None without forces or near structures.
    """

    method: str
    labels: int
    by_subset: dict[str, int]
    cost: float
    cost_is_known: bool
    contradictions: int
    without_forces: int
    outliers: int
    outlier_examples: tuple[str, ...]
    largest_force_ev_a: float | None
    forces_agreement: float | None


@dataclass(frozen=True, kw_only=True)
class ImportReport:
    """What `import_dataset` did.

    Attributes
    ----------
    path
        The dataset's directory.
    read, kept
        Structures of the sources, and of the dataset.
    faults
        Left out because they cannot be taken.
    dropped
        Reason → structures left out though nothing is wrong with them.
    duplicates, matched
        Structures that repeat an earlier one and bring nothing new, or a label, which joins.
    in_two_subsets
        Structures that sources have in two subsets; the first was taken.
    notes
        What the sources say of themselves, sentences.
    elements
        Symbol → structures that hold it, and its atoms.
    methods
        By method.
    doubts
        What looks like a wrong unit.
    """

    name: str
    path: str
    sources: tuple[str, ...]
    read: int
    kept: int
    faults: tuple[Fault, ...]
    dropped: dict[str, int]
    duplicates: int
    matched: int
    in_two_subsets: int
    notes: tuple[str, ...]
    elements: dict[str, tuple[int, int]]
    methods: tuple[MethodReport, ...]
    splits: tuple[str, ...]
    doubts: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return asdict(self)

    def to_text(self) -> str:
        """A page for people."""
        lines = [f"{self.path}: {self.kept} structures kept of {self.read} read"]
        merged = (
            (self.matched, "joined to equal ones, with their labels"),
            (self.duplicates, "duplicates, which bring nothing new"),
        )
        lines += [f"  {n} {what}" for n, what in merged if n]
        lines += [f"  {n} dropped: {reason}" for reason, n in self.dropped.items()]
        lines += [f"  dropped: {fault}" for fault in self.faults]
        lines += [
            f"{m.method}: {m.labels} labels ("
            + ", ".join(f"{subset} {n}" for subset, n in m.by_subset.items())
            + ")"
            + _forces(m.largest_force_ev_a)
            for m in self.methods
        ]
        lines += [
            f"{symbol}: {atoms} atoms in {structures} structures"
            for symbol, (structures, atoms) in self.elements.items()
        ]
        lines += self.notes
        lines += [f"careful: {caution}" for caution in self.cautions()]
        return "\n".join(lines)

    def cautions(self) -> list[str]:
        """What its reader had better look at."""
        said = list(self.doubts)
        if self.in_two_subsets:
            said.append(f"{self.in_two_subsets} structures are in two subsets of the sources")
        for m in self.methods:
            if m.outliers:
                places = "; ".join(m.outlier_examples)
                said.append(f"{m.method}: {m.outliers} energies far from all others ({places})")
            if m.forces_agreement is not None and m.forces_agreement < _LOW_AGREEMENT:
                said.append(
                    f"{m.method}: forces do not follow the energies (rank correlation "
                    f"{m.forces_agreement:.2f} with energy differences of near structures)"
                )
            if m.contradictions:
                said.append(
                    f"{m.method}: {m.contradictions} labels left out, for an equal structure that "
                    f"came first has another energy"
                )
            if m.without_forces:
                said.append(f"{m.method}: {m.without_forces} labels left out, for they lack forces")
            if not m.cost_is_known:
                said.append(f"{m.method}: no cost given, taken as {m.cost:g} (cc = 1000)")
        if "molecule" not in self.splits:
            said.append("no split by molecule: too few molecules, or too few labels")
        return said


def _forces(largest: float | None) -> str:
    return ", no forces" if largest is None else f", forces up to {largest:.3g} eV/Å"


def place_in(sources: Sequence[Path], source: int, number: int) -> str:
    """Where a structure came from, for people who count from 1."""
    return f"{sources[source].name}, structure {number + 1}"

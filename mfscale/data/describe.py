"""What a dataset holds: counts, labels, and how far its methods are apart."""

from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from mfscale.data.composition import fit_offsets
from mfscale.data.dataset import Dataset
from mfscale.data.splits import SUBSETS, TRAINING_SUBSETS

_MEV = 1000.0


@dataclass(frozen=True, kw_only=True)
class LabelCount:
    """Labels of one method in one subset of one split."""

    split: str
    method: str
    subset: str
    training: int
    validation: int
    test: int


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How far two methods are apart where both have labels, after offsets per element.

    ``method`` − ``reference``; standard deviation and mean absolute value of the residual that a
    least-squares fit of offsets per element to the difference leaves, of the total energy (meV)
    and per atom (meV/atom).
    """

    method: str
    reference: str
    n: int
    std_mev: float
    mae_mev: float
    std_mev_per_atom: float
    mae_mev_per_atom: float


@dataclass(frozen=True, kw_only=True)
class Description:
    """What `describe` found."""

    name: str
    description: str
    licence: str
    structures: int
    periodic: int
    atoms: int
    elements: tuple[str, ...]
    molecules: int
    methods: dict[str, dict[str, Any]]
    labels: tuple[LabelCount, ...]
    differences: tuple[Difference, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return asdict(self)

    def to_text(self) -> str:
        """A page for people."""
        lines = [
            f"{self.name}: {self.description}",
            f"licence: {self.licence}",
            f"{self.structures} structures of {self.molecules} molecules, {self.atoms} atoms",
            *([f"{self.periodic} structures are periodic"] if self.periodic else []),
            f"elements: {' '.join(self.elements)}",
            "",
            *_table(
                ("method", "forces", "cost (cc = 1000)", "level of theory"),
                [
                    (name, "yes" if m["has_forces"] else "no", f"{m['cost']:g}", m["description"])
                    for name, m in self.methods.items()
                ],
            ),
        ]
        for split in dict.fromkeys(count.split for count in self.labels):
            lines += ["", f"labels, {split} split: training + validation, t: test"]
            lines += _table(("method", *SUBSETS), self._label_rows(split))
        if self.differences:
            lines += ["", "energy differences after least-squares offsets per element"]
            lines += _table(
                ("methods", "n", "std meV", "MAE meV", "std meV/atom", "MAE meV/atom"),
                [
                    (
                        f"{d.method} − {d.reference}",
                        str(d.n),
                        f"{d.std_mev:.0f}",
                        f"{d.mae_mev:.0f}",
                        f"{d.std_mev_per_atom:.1f}",
                        f"{d.mae_mev_per_atom:.1f}",
                    )
                    for d in self.differences
                ],
            )
        return "\n".join(lines)

    def _label_rows(self, split: str) -> list[tuple[str, ...]]:
        cells = {
            (c.method, c.subset): f"{c.training} + {c.validation}"
            if c.subset in TRAINING_SUBSETS
            else str(c.test)
            for c in self.labels
            if c.split == split
        }
        return [(method, *(cells[method, subset] for subset in SUBSETS)) for method in self.methods]


def describe(dataset: Dataset) -> Description:
    """Count what a dataset holds, and measure how far its methods are apart."""
    methods = tuple(dataset.methods)
    pairs = (_difference(dataset, one, other) for one, other in combinations(methods, 2))
    return Description(
        name=dataset.name,
        description=dataset.description,
        licence=dataset.licence,
        structures=dataset.n_structures,
        periodic=_periodic(dataset),
        atoms=int(dataset.first_atom[-1]),
        elements=dataset.elements,
        molecules=len(dataset.molecules),
        methods={
            m.name: {"has_forces": m.has_forces, "cost": m.cost, "description": m.description}
            for m in dataset.methods.values()
        },
        labels=tuple(
            _count(dataset, split, method, subset)
            for split in dataset.splits
            for method in methods
            for subset in SUBSETS
        ),
        differences=tuple(pair for pair in pairs if pair is not None),
    )


def _periodic(dataset: Dataset) -> int:
    every = np.arange(dataset.n_structures if dataset.periodic else 0)
    return int(dataset.cells(every)[1].any(axis=1).sum())


def _count(dataset: Dataset, split: str, method: str, subset: str) -> LabelCount:
    training, validation = dataset.n_labels(method, subset, split=split)
    test = 0
    if subset not in TRAINING_SUBSETS:
        energies = dataset.energies(method, dataset.test_structures(split=split))
        test = int(np.isfinite(energies).sum())
    return LabelCount(
        split=split,
        method=method,
        subset=subset,
        training=training,
        validation=validation,
        test=test,
    )


def _difference(dataset: Dataset, one: str, other: str) -> Difference | None:
    """The difference of two methods, the dearer as reference; None where they share no label."""
    reference, method = sorted((one, other), key=lambda name: -dataset.methods[name].cost)
    shared = np.intersect1d(
        dataset.labelled_structures(method), dataset.labelled_structures(reference)
    )
    if not shared.size:
        return None
    difference = dataset.energies(method, shared) - dataset.energies(reference, shared)
    composition = dataset.composition(shared)
    residual = (difference - composition @ fit_offsets(composition, difference)) * _MEV
    per_atom = residual / dataset.n_atoms(shared)
    return Difference(
        method=method,
        reference=reference,
        n=len(shared),
        std_mev=float(residual.std()),
        mae_mev=float(np.abs(residual).mean()),
        std_mev_per_atom=float(per_atom.std()),
        mae_mev_per_atom=float(np.abs(per_atom).mean()),
    )


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """Lines of a table, its columns as wide as their widest cell."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [header, *rows]
    ]

"""The report of an import, from the dataset that it wrote."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mfscale.data.arrays import open_array
from mfscale.data.dataset import Dataset
from mfscale.data.imports.inspection import outliers, residuals, unit_doubts
from mfscale.data.imports.method_keys import MethodKeys
from mfscale.data.imports.report import Fault, ImportReport, MethodReport, place_in
from mfscale.data.imports.selection import Selection
from mfscale.data.imports.slopes import slope_doubt, slopes
from mfscale.data.imports.spool import Spool
from mfscale.data.imports.subsets import in_subsets
from mfscale.data.scratch import Scratch, parts
from mfscale.data.splits import SUBSETS


def summarise(
    dataset: Dataset,
    destination: Path,
    *,
    sources: Sequence[Path],
    methods: Sequence[MethodKeys],
    spool: Spool,
    selection: Selection,
    read: int,
    faults: Sequence[Fault],
    notes: Sequence[str],
    scratch: Scratch,
) -> ImportReport:
    """Count what was kept and left out, and look at the labels that were kept.

    Parameters
    ----------
    dataset
        Still where it was built.
    destination
        Where it will be.
    sources, methods, spool, selection, read, faults, notes
        What came, and what was chosen of it.
    scratch
        For arrays of one number a label.
    """
    left = {}
    reports = []
    steep = {m.name: slopes(dataset, m.name) if m.forces else None for m in methods}
    said = [slope_doubt(name, found) for name, found in steep.items() if found]
    for method in methods:
        structures, per_atom = residuals(dataset, method.name, scratch)
        left[method.name] = per_atom
        far = outliers(method.name, structures, per_atom, scratch)
        by_subset = in_subsets(dataset.subset_codes(), structures).tolist()
        rows = selection.rows[np.array(far.examples, dtype=np.int64)]
        places = [(int(spool.read("source")[r]), int(spool.read("number")[r])) for r in rows]
        reports.append(
            MethodReport(
                method=method.name,
                labels=len(structures),
                by_subset=dict(zip(SUBSETS, by_subset, strict=True)),
                cost=method.method().cost,
                cost_is_known=method.known_cost,
                contradictions=selection.contradictions[method.name],
                without_forces=selection.without_forces.get(method.name, 0),
                outliers=far.count,
                outlier_examples=tuple(place_in(sources, *place) for place in places),
                forces_agreement=found.agreement if (found := steep[method.name]) else None,
                largest_force_ev_a=_largest_force(dataset, method.name) if method.forces else None,
            )
        )
    return ImportReport(
        name=dataset.name,
        path=str(destination),
        sources=tuple(map(str, sources)),
        read=read,
        kept=dataset.n_structures,
        faults=tuple(faults),
        dropped=dict(selection.dropped),
        duplicates=selection.duplicates,
        matched=selection.matched,
        in_two_subsets=selection.in_two_subsets,
        notes=tuple(notes),
        elements=_elements(dataset),
        methods=tuple(reports),
        splits=dataset.splits,
        doubts=(*unit_doubts(dataset, left), *(doubt for doubt in said if doubt)),
    )


def _largest_force(dataset: Dataset, method: str) -> float:
    forces = open_array(dataset.path / f"{method}_forces.npy")
    return max(float(np.abs(forces[part]).max()) for part in parts(len(forces)))


def _elements(dataset: Dataset) -> dict[str, tuple[int, int]]:
    """Symbol → structures that hold the element, and its atoms."""
    found = np.zeros((len(dataset.elements), 2), dtype=np.int64)
    for part in parts(dataset.n_structures):
        counts = dataset.composition(np.arange(part.start, part.stop))
        found[:, 0] += (counts > 0).sum(axis=0)
        found[:, 1] += counts.sum(axis=0).astype(np.int64)
    return {s: (int(n), int(k)) for s, (n, k) in zip(dataset.elements, found, strict=True)}

"""How new labels go with those of a dataset: of one method, and at what cost."""

import numpy as np

from mfscale.data.dataset import Dataset
from mfscale.data.errors import DatasetError
from mfscale.data.header import Method
from mfscale.data.imports.method_keys import KNOWN_COSTS, OTHER_COST
from mfscale.data.labelling.level import Level
from mfscale.data.labelling.outcome import compute
from mfscale.data.labelling.report import recorded

MEASURED = "measured"
"""A cost that processor time tells."""

_SAME_EV = 1e-3
_COMPARED = 2


def check_same(dataset: Dataset, level: Level, name: str) -> None:
    """Raise `DatasetError` unless new labels continue those that are there: two are redone."""
    if name not in dataset.methods:
        return
    if dataset.has_forces(name) != level.has_forces:
        raise DatasetError(
            f"{dataset.name}: labels {name} there {'have' if dataset.has_forces(name) else 'lack'} "
            f"forces and {level.description} is otherwise; name the new ones with --as"
        )
    there = dataset.labelled_structures(name)
    smallest = there[np.argsort(dataset.n_atoms(there), kind="stable")[:_COMPARED]]
    for index in smallest.tolist():
        atoms = dataset.structure(index)
        (outcome,) = compute(level, [(index, atoms.numbers, atoms.positions)])
        energy = dataset.energies(name, [index])[0]
        apart = abs(outcome.label.energy - energy) if outcome.label else np.inf
        if not apart < _SAME_EV:
            raise DatasetError(
                f"{dataset.name}: the label {name} of structure {index} is {energy:.4f} eV there, "
                f"and {outcome.label.energy if outcome.label else outcome.reason} by "
                f"{level.description}: they are not of one method; name the new ones with --as"
            )


def stated(
    dataset: Dataset,
    level: Level,
    name: str,
    cost: float | str | None,
    anchor: tuple[float, float] | None,
    seconds: float | None,
) -> Method:
    """The method as the header will state it; what was there is not restated but for the cost.

    Parameters
    ----------
    dataset, level, name, cost
        As `label_dataset` takes them.
    anchor, seconds
        `cost_anchor`, if the cost is measured, and processor time of a label.
    """
    before = dataset.methods.get(name)
    if anchor and seconds:
        cost = anchor[0] * seconds / anchor[1]
    if not isinstance(cost, float):
        cost = before.cost if before else KNOWN_COSTS.get(name, OTHER_COST)
    said = before.description if before else level.description
    return Method(name, has_forces=level.has_forces, cost=cost, description=said)


def cost_anchor(dataset: Dataset, name: str) -> tuple[float, float]:
    """Cost and processor time (s) of the dearest other method whose time is on record."""
    timed = [
        (method.cost, float(seconds))
        for method in dataset.methods.values()
        if method.name != name
        and (seconds := recorded(dataset, method.name).get("cpu_s_per_label"))
    ]
    if not timed:
        raise DatasetError(
            f"--cost measured: {dataset.name} has no other method whose time was measured, and "
            f"costs are relative; state a number (coupled cluster = 1000)"
        )
    return max(timed)

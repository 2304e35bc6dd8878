"""Another split of a dataset that is there: its structures divided into subsets anew."""

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mfscale.data.dataset import Dataset
from mfscale.data.digests import leading_bits
from mfscale.data.embedded import EMBEDDED
from mfscale.data.errors import DatasetError
from mfscale.data.header import read_header, write_header
from mfscale.data.imports.method_keys import NAME
from mfscale.data.imports.spool import formula
from mfscale.data.imports.subsets import check_split, divide, sizes_of
from mfscale.data.scratch import Scratch, parts
from mfscale.data.splits import SUBSETS, subsets_by_molecule

By = Literal["structure", "molecule", "formula"]


@dataclass(frozen=True, kw_only=True)
class NewSplit:
    """A split that was added.

    Attributes
    ----------
    dataset, split
        Names.
    by
        What is never divided: a structure, a molecule or a formula.
    structures
        Subset → structures.
    labels
        Method → subset → labels, those for validation among them.
    """

    dataset: str
    split: str
    by: str
    structures: dict[str, int]
    labels: dict[str, dict[str, int]]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return asdict(self)


def add_split(
    dataset: Dataset,
    name: str,
    *,
    by: By = "structure",
    subsets: Mapping[str, float] | None = None,
    seed: int = 0,
) -> NewSplit:
    """Divide the structures anew, and add the split to the dataset's folder under a new name.

    Splits that are there stay, and with them all studies of the dataset: nothing but the header is
    replaced, by a rename.

    Parameters
    ----------
    dataset
        Opened; open it again to see the split.
    name
        Of the split.
    by
        ``structure``: each combination of methods' labels is divided alike. ``molecule`` and
        ``formula``: each goes whole to one subset, which so only comes near to its size.
    subsets, seed
        Subset → structures or share, as in `mfscale.data.imports.subsets`, and what draws them.

    Raises
    ------
    DatasetError
        When there is such a split, the dataset is an embedded one or cannot be written, the sizes
        do not fit, or a method would lack labels to train on or to test on.
    """
    _check_names(dataset, name)
    codes = _divided(dataset, by, subsets or {}, seed)
    structures_of = {method: dataset.labelled_structures(method) for method in dataset.methods}
    check_split(codes, structures_of)
    header = read_header(dataset.path)
    rule = f"by {by}, seed {seed}" + "".join(f", {s} {v:g}" for s, v in (subsets or {}).items())
    building = dataset.path / f".split.{uuid.uuid4().hex}.npy"
    try:
        np.save(building, codes)
        building.replace(dataset.path / f"split_{name}.npy")
        splits = header.splits | {name: rule}
        write_header(header.model_copy(update={"splits": splits}), dataset.path)
    except OSError as error:
        raise DatasetError(f"{dataset.path}: cannot be written ({error.strerror})") from None
    finally:
        building.unlink(missing_ok=True)
    return NewSplit(
        dataset=dataset.name,
        split=name,
        by=by,
        structures=_by_subset(codes),
        labels={method: _by_subset(codes[rows]) for method, rows in structures_of.items()},
    )


def _check_names(dataset: Dataset, name: str) -> None:
    if dataset.name in EMBEDDED and dataset.path.parent == Path(__file__).parents[1]:
        raise DatasetError(
            f"{dataset.name} comes with mfscale and is not changed; make a copy, for example: "
            f"mfscale data merge {dataset.name} --name my-{dataset.name}"
        )
    if not NAME.fullmatch(name):
        raise DatasetError(
            f"--as {name!r}: begin with a letter, and use letters, digits, '_', '.' and '-' alone"
        )
    if name in dataset.splits:
        raise DatasetError(
            f"dataset {dataset.name} has a split {name} already, which studies may rest on; choose "
            f"another name (there are {', '.join(dataset.splits)})"
        )


def _divided(dataset: Dataset, by: By, asked: Mapping[str, float], seed: int) -> NDArray[np.uint8]:
    sizes = sizes_of(dataset.n_structures, asked)
    if by == "structure":
        pattern = np.zeros(dataset.n_structures, dtype=np.int64)
        for bit, method in enumerate(dataset.methods):
            pattern[dataset.labelled_structures(method)] += 1 << bit
        bits = leading_bits(dataset.structure_digests())
        return divide(bits, pattern, sizes, seed, Scratch())
    names, group = (
        (list(dataset.molecules), np.asarray(dataset.molecule))
        if by == "molecule"
        else _formulas(dataset)
    )
    dearest = max(dataset.methods.values(), key=lambda method: method.cost).name
    counted = np.zeros(dataset.n_structures, dtype=np.bool_)
    counted[dataset.labelled_structures(dearest)] = True
    shares = {subset: n / dataset.n_structures for subset, n in sizes.items()}
    return subsets_by_molecule([f"{seed} {name}" for name in names], group, counted, shares)


def _formulas(dataset: Dataset) -> tuple[list[str], NDArray[np.int32]]:
    """Formulas, and the index (S,) of each structure's."""
    index: dict[str, int] = {}
    of = np.empty(dataset.n_structures, dtype=np.int32)
    for part in parts(dataset.n_structures):
        rows = np.arange(part.start, part.stop)
        counts, member = np.unique(dataset.composition(rows), axis=0, return_inverse=True)
        z = dataset.element_numbers
        names = [formula(np.repeat(z, row.astype(np.int64))) for row in counts]
        place = [index.setdefault(name, len(index)) for name in names]
        of[rows] = np.array(place, dtype=np.int32)[member]
    return list(index), of


def _by_subset(codes: NDArray[np.uint8]) -> dict[str, int]:
    return {subset: int((codes == code).sum()) for code, subset in enumerate(SUBSETS)}

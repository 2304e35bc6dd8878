"""New labels join a dataset: a method more in its folder, or a new folder with them."""

import json
import os
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mfscale.data import embedded, ragged
from mfscale.data.arrays import Arrays, array_layout, open_arrays
from mfscale.data.dataset import Dataset
from mfscale.data.digests import forces_digests
from mfscale.data.errors import DatasetError
from mfscale.data.header import HEADER_FILE, Header, Method, read_header, write_header
from mfscale.data.imports.method_keys import NAME
from mfscale.data.labelling.outcome import Outcome
from mfscale.data.labelling.report import record_file

_PACKAGE = Path(embedded.__file__).resolve().parent


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where labels go: into the dataset's own folder, or with it into a new one, `out`."""

    dataset: Dataset
    method: str
    out: Path | None

    def check(self) -> None:
        """Raise `DatasetError` if labels cannot go there."""
        name, dataset = self.method, self.dataset
        if not NAME.fullmatch(name):
            raise DatasetError(
                f"--as {name!r}: begin with a letter, and use letters, digits, '_', '.' and '-' "
                f"alone"
            )
        if self.out is not None:
            if self.out.exists():
                raise DatasetError(f"{self.out}: exists already; choose another place with --out")
            return
        if dataset.path.parent == _PACKAGE:
            raise DatasetError(
                f"{dataset.name}: the embedded dataset is not changed; say where the new one goes "
                f"with --out"
            )
        if not os.access(dataset.path, os.W_OK):
            raise DatasetError(
                f"{dataset.path}: may not be written to; say where the new one goes with --out"
            )
        if name in dataset.methods:
            raise DatasetError(
                f"{dataset.name}: has labels {name} already; write all to a new folder with --out, "
                f"or name the new labels with --as"
            )

    @property
    def journal(self) -> Path:
        """The folder that keeps labels until all are there."""
        target = self.out or self.dataset.path
        return target.with_name(f"{target.name}.{self.method}.labels")


def join(place: Place, method: Method, outcomes: Sequence[Outcome], record: object) -> Path:
    """Add labels to a dataset; other methods' labelled sets keep their digests.

    The header is what counts, and is replaced last: the dataset has all the new labels or none.

    Parameters
    ----------
    place
        Where; `Place.check` has passed.
    method
        As the header will state it.
    outcomes
        Those with a label are taken, at least one.
    record
        How the labels came about, plain data that is kept beside them.

    Returns
    -------
    Path
        Of the dataset that has them.
    """
    source = place.dataset.path
    header = read_header(source)
    before = open_arrays(header, source)
    new = _labels(method, before, outcomes)
    others = tuple(known for known in header.methods if known.name != method.name)
    order = [known.name for known in header.methods]
    methods = sorted(
        (*others, method), key=lambda m: order.index(m.name) if m.name in order else len(order)
    )
    after = header.model_copy(update={"methods": tuple(methods)})
    text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    building = source if place.out is None else _beside(place.out)
    try:
        if place.out is not None:
            after = after.model_copy(update={"name": _named(place.out, header)})
            _copy(source, building, header)
        for name, array in new.items():
            _replace(building / f"{name}.npy", array)
        record_file(building, method.name).write_text(text, encoding="utf-8")
        _replace_header(after, building)
        if place.out is not None:
            building.rename(place.out)
    except OSError as error:
        raise DatasetError(
            f"{place.out or source}: labels cannot be written ({error.strerror}); they are in "
            f"{place.journal}, and the same command goes on"
        ) from None
    finally:
        if place.out is not None:
            shutil.rmtree(building, ignore_errors=True)
    return place.out or source


def _labels(method: Method, before: Arrays, outcomes: Sequence[Outcome]) -> Arrays:
    """The arrays of a method: its labels of before, if any, and the new ones, by structure."""
    name = method.name
    found = {o.structure: o.label for o in outcomes if o.label is not None}
    structure = np.array(list(found), dtype=np.int64)
    energy = np.array([label.energy for label in found.values()])
    if f"{name}_structure" in before:
        structure = np.concatenate([before[f"{name}_structure"], structure])
        energy = np.concatenate([before[f"{name}_energy"], energy])
    order = np.argsort(structure, kind="stable")
    arrays: Arrays = {f"{name}_structure": structure[order], f"{name}_energy": energy[order]}
    if not method.has_forces:
        return arrays
    flat = [label.forces.astype("<f4") for label in found.values() if label.forces is not None]
    if f"{name}_forces" in before:
        flat.insert(0, before[f"{name}_forces"])
    n_atoms = np.diff(before["first_atom"])[structure]
    forces = np.concatenate(flat)[ragged.ranges(ragged.offsets(n_atoms)[order], n_atoms[order])]
    first = ragged.offsets(n_atoms[order])
    return arrays | {
        f"{name}_first_force": first,
        f"{name}_forces": forces,
        f"{name}_forces_digest": forces_digests(forces, first),
    }


def _copy(source: Path, building: Path, header: Header) -> None:
    """Arrays and records; the header comes last."""
    building.mkdir(parents=True)
    records = [record_file(source, method.name).name for method in header.methods]
    for name in [*(f"{key}.npy" for key in array_layout(header)), *records]:
        if (source / name).exists():
            shutil.copyfile(source / name, building / name)


def _replace(file: Path, array: np.ndarray) -> None:
    beside = _beside(file)
    try:
        with beside.open("wb") as out:
            np.save(out, np.ascontiguousarray(array))
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


def _replace_header(header: Header, folder: Path) -> None:
    beside = _beside(folder / "header")
    beside.mkdir()
    try:
        write_header(header, beside)
        (beside / HEADER_FILE).replace(folder / HEADER_FILE)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}")


def _named(out: Path, header: Header) -> str:
    good = NAME.fullmatch(out.name) and out.name not in embedded.EMBEDDED
    return out.name if good else header.name

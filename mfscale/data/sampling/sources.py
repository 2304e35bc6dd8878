"""Molecules to sample: SMILES, files of SMILES or of structures, the molecules of a dataset."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfscale.data.dataset import Dataset
from mfscale.data.embedded import EMBEDDED, open_dataset
from mfscale.data.errors import DatasetError
from mfscale.data.header import HEADER_FILE
from mfscale.data.labelling.level import programme
from mfscale.data.labelling.source import ENDINGS, read_structures


@dataclass(frozen=True, kw_only=True, eq=False)
class Rough:
    """A structure to be relaxed: a molecule's name, (n,) atomic numbers, (n, 3) in Å."""

    molecule: str
    numbers: NDArray[np.int64]
    positions: NDArray[np.float64]


def parse_temperatures(text: str) -> tuple[float, float]:
    """Read ``300:1500`` or ``600``: the lowest and the highest temperature, K."""
    low, _, high = text.partition(":")
    try:
        found = float(low), float(high or low)
    except ValueError:
        found = (0.0, 0.0)
    if not 0 < found[0] <= found[1] < np.inf:
        raise DatasetError(f"--temperature {text!r}: write kelvins, LOW:HIGH (300:1500) or one T")
    return found


def rough_structures(
    sources: Sequence[str], *, conformers: int, seed: int
) -> dict[str, list[Rough]]:
    """Structures by molecule, in the order of the sources.

    Parameters
    ----------
    sources
        SMILES; files of SMILES, the first word of each line (``.smi``); files of structures
        (``.xyz``, ``.extxyz``); datasets, whose molecules are SMILES.
    conformers
        Embeddings of each SMILES (RDKit's ETKDG).
    seed
        Of the embeddings.

    Raises
    ------
    DatasetError
        For a source that is none of these.
    """
    found: dict[str, list[Rough]] = {}
    for rough in _all(sources, conformers, seed):
        found.setdefault(rough.molecule, []).append(rough)
    return found


def _all(sources: Sequence[str], conformers: int, seed: int) -> Iterator[Rough]:
    for source in sources:
        path = Path(source)
        if path.suffix.lower() in ENDINGS:
            for record in read_structures(path):
                name = record.molecule or source
                yield Rough(molecule=name, numbers=record.numbers, positions=record.positions)
            continue
        for smiles in dict.fromkeys(_smiles(source)):
            yield from _embedded(smiles, source, conformers, seed)


def _smiles(source: str) -> Sequence[str]:
    path = Path(source)
    if source in EMBEDDED or (path / HEADER_FILE).is_file():
        dataset: Dataset = open_dataset(source)
        return dataset.molecules
    if path.suffix.lower() != ".smi":
        return [source]
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: unreadable ({error})") from None
    return [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]


def _embedded(smiles: str, source: str, conformers: int, seed: int) -> Iterator[Rough]:
    """Embeddings of a neutral molecule without radicals."""
    molecule = _molecule(smiles, source)
    build = programme("rdkit.Chem.AllChem")
    settings = build.ETKDGv3()
    settings.randomSeed = seed % 2**30 + 1  # of 0 all embeddings come out the same
    places = list(build.EmbedMultipleConfs(molecule, conformers, settings))
    if not places:
        raise DatasetError(f"{smiles}: RDKit finds no structure; give one in a file (.xyz)")
    numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()], dtype=np.int64)
    for place in places:
        positions = np.array(molecule.GetConformer(place).GetPositions(), dtype=np.float64)
        yield Rough(molecule=smiles, numbers=numbers, positions=positions)


def _molecule(smiles: str, source: str) -> Any:  # noqa: ANN401 - RDKit is not typed
    chem = programme("rdkit.Chem")
    programme("rdkit.RDLogger").DisableLog("rdApp.*")
    molecule = chem.MolFromSmiles(smiles)
    where = f"{source}: " if source != smiles else ""
    if molecule is None or not molecule.GetNumAtoms():
        raise DatasetError(
            f"{where}{smiles!r} is no SMILES, and no file (.smi, .xyz, .extxyz) or dataset"
        )
    if chem.GetFormalCharge(molecule) or sum(
        atom.GetNumRadicalElectrons() for atom in molecule.GetAtoms()
    ):
        raise DatasetError(
            f"{where}{smiles}: charged or a radical; sampling is of neutral closed shells"
        )
    return chem.AddHs(molecule)

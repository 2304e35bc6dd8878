"""Sampling of real molecules: reproducible, around minima, within the limits."""

import re
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import write

from mfscale.data import DatasetError, open_dataset
from mfscale.data.labelling import compute, parse_level
from mfscale.data.sampling import parse_temperatures, rough_structures, sample_dataset


def test_a_sampled_dataset_holds_molecules_with_their_labels(tmp_path: Path) -> None:
    (tmp_path / "molecules.smi").write_text("# alcohols\nCO methanol\nOCCO\n")
    write(tmp_path / "ammonia.xyz", Atoms("NH3", [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]))
    sources = ["O", str(tmp_path / "molecules.smi"), str(tmp_path / "ammonia.xyz")]
    rough = rough_structures(sources, conformers=4, seed=0)
    assert list(rough) == ["O", "CO", "OCCO", str(tmp_path / "ammonia.xyz")]
    asked = {"name": "mine", "n_structures": 60, "kelvins": (300.0, 900.0), "seed": 3}
    report = sample_dataset(rough, tmp_path / "mine", **asked)
    mine = open_dataset(tmp_path / "mine")
    assert (report.structures, report.left_out) == (60, {})
    assert mine.n_structures == 60
    assert len(mine.molecules) == report.molecules <= 4
    every = [mine.structure(k) for k in range(60)]
    kelvins = [atoms.info["temperature_K"] for atoms in every]
    assert min(kelvins) >= 300
    assert max(kelvins) <= 900
    assert np.ptp(kelvins) > 300
    assert len({a.info["conformer"] for a in every if a.info["molecule"] == "OCCO"}) > 1
    assert (np.abs(mine.forces("xtb", range(60))) <= 40).all()
    level = parse_level("gfn2-xtb")
    (again,) = compute(level, [(7, every[7].numbers, every[7].positions)])
    assert again.label is not None
    assert again.label.energy == pytest.approx(mine.energies("xtb", [7])[0], abs=1e-6)
    # Larger molecules come more often: 3n − 5 is 4, 13, 25 and 7.
    counts = [sum(a.info["molecule"] == name for a in every) for name in ("O", "OCCO")]
    assert counts[0] < counts[1]
    sample_dataset(rough, tmp_path / "again", **asked)
    assert open_dataset(tmp_path / "again").digest == mine.digest
    sample_dataset(rough, tmp_path / "other", **{**asked, "seed": 4})
    assert open_dataset(tmp_path / "other").digest != mine.digest


def test_hotter_structures_lie_higher(tmp_path: Path) -> None:
    rough = rough_structures(["C"], conformers=1, seed=0)
    for amplitudes in ("ani1", "thermal"):
        means = []
        for kelvin in (100.0, 800.0):
            place = tmp_path / f"{amplitudes}-{kelvin:.0f}"
            asked = {"name": "m", "n_structures": 40, "kelvins": (kelvin, kelvin)}
            sample_dataset(rough, place, amplitudes=amplitudes, **asked)
            means.append(open_dataset(place).energies("xtb", range(40)).mean())
        assert means[1] > means[0] + 0.1


def test_what_cannot_be_sampled_is_left_out_and_named(tmp_path: Path) -> None:
    apart = Atoms("H4", [[0, 0, 0], [0.74, 0, 0], [0, 0, 9], [0.74, 0, 9]])
    write(tmp_path / "apart.xyz", [apart, Atoms("OH", [[0, 0, 0], [0, 0, 1]])])
    write(tmp_path / "atom.xyz", Atoms("Ne"))
    rough = rough_structures(
        ["N", str(tmp_path / "apart.xyz"), str(tmp_path / "atom.xyz")], conformers=1, seed=0
    )
    asked = {"name": "m", "n_structures": 12, "kelvins": (300.0, 300.0)}
    report = sample_dataset(rough, tmp_path / "m", **asked)
    assert report.left_out == {
        str(tmp_path / "apart.xyz"): "falls apart when it is relaxed",
        str(tmp_path / "atom.xyz"): "a single atom has no normal modes",
    }
    alone = {name: rough[name] for name in report.left_out}
    with pytest.raises(DatasetError, match="no molecule can be sampled"):
        sample_dataset(alone, tmp_path / "none", **asked)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("CX", "'CX' is no SMILES, and no file"),
        ("[NH4+]", "charged or a radical"),
        ("[CH3]", "charged or a radical"),
        ("no.xyz", "no such file"),
        ("no.smi", "unreadable"),
        ("", "is no SMILES"),
    ],
)
def test_sources_that_are_none_are_refused(source: str, said: str) -> None:
    with pytest.raises(DatasetError, match=re.escape(said)):
        rough_structures([source], conformers=1, seed=0)


@pytest.mark.parametrize("text", ["", "hot", "900:300", "-5", "0:10", "1:2:3", "nan"])
def test_temperatures_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(DatasetError, match="write kelvins, LOW:HIGH"):
        parse_temperatures(text)


def test_temperatures_are_a_range_or_one() -> None:
    assert parse_temperatures("300:1500") == (300, 1500)
    assert parse_temperatures("450") == (450, 450)

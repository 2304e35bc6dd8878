"""A bad source ends in one message with counts and places, and nothing is imported."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.db import connect

from mfscale.data import DatasetError
from mfscale.data.imports import parse_method, parse_subsets
from tests.data.imports.conftest import METHODS, Import, molecules

Spoil = Callable[[Atoms], None]


def energy(value: object) -> Spoil:
    return lambda atoms: atoms.info.update(cheap_energy=value)


def forces(change: Callable[[np.ndarray], np.ndarray]) -> Spoil:
    return lambda atoms: atoms.arrays.update(cheap_forces=change(atoms.arrays["cheap_forces"]))


def position(atoms: Atoms) -> None:
    atoms.positions[0, 0] = np.inf


def coincidence(atoms: Atoms) -> None:
    atoms.positions[1] = atoms.positions[0] + 0.1


def element(atoms: Atoms) -> None:
    atoms.numbers[0] = 0


def image(atoms: Atoms) -> None:
    atoms.pbc = True
    atoms.positions[1] = atoms.positions[0] + [9, 0.1, 0]


def cell(atoms: Atoms) -> None:
    atoms.cell, atoms.pbc = np.diag([9, 9, 0.1]), True


SPOILT: dict[str, tuple[Spoil, str]] = {
    "nan energy": (energy(np.nan), "cheap energy is not finite"),
    "infinite energy": (energy(np.inf), "cheap energy is not finite"),
    "text energy": (energy("os.system('true')"), "cheap_energy is not a number"),
    "object energy": (energy({"__ndarray__": [[1], "object", [0]]}), "is not a number"),
    "nan forces": (forces(lambda f: f * [1, np.nan, 1]), "cheap forces are not finite"),
    "short forces": (forces(lambda f: f[:, :2]), "cheap forces do not match the atoms"),
    "infinite position": (position, "positions are not finite"),
    "coincidence": (coincidence, "two atoms are closer than 0.2 Å"),
    "enormous forces": (forces(lambda f: f * 1e200), "cheap forces are not finite"),
    "unknown element": (element, "unknown element"),
    "flat cell": (cell, "is periodic, but its cell is flat"),
    "coincident images": (lambda a: a.set_cell([9, 9, 9]) or image(a), "closer than 0.2 Å"),
}


@pytest.mark.parametrize("how", SPOILT)
def test_bad_structures_are_counted_and_named(
    how: str, imported: Import, written: Callable[..., Path], nothing_left: Callable[[], bool]
) -> None:
    frames = molecules()
    spoil, said = SPOILT[how]
    spoil(frames[1])
    spoil(frames[4])
    source = written(frames)
    with pytest.raises(DatasetError) as error:
        imported(source)
    message = str(error.value)
    assert message.startswith("2 of 60 structures cannot be imported: 2 × ")
    assert said in message
    assert "mine.xyz, structure 2; mine.xyz, structure 5" in message
    assert "--drop-bad" in message
    assert "\n" not in message
    assert nothing_left()
    dataset, report = imported(source, drop_bad=True)
    assert dataset.n_structures == report.kept == 58
    assert report.faults[0].count == 2
    assert said in report.to_text()


@pytest.mark.parametrize("cut", [40, 200, 1000])
def test_a_truncated_file_is_refused(
    cut: int, imported: Import, written: Callable[..., Path], nothing_left: Callable[[], bool]
) -> None:
    source = written(molecules())
    source.write_bytes(source.read_bytes()[:-cut])
    with pytest.raises(DatasetError, match=r"cut off by the end"):
        imported(source)
    assert nothing_left()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("2\nProp", "3\nProp", "line 6: .* is not the number .* before begins at line 1;"),
        ("2\nProp", "1000000000000\nProp", "line 1: a structure of 1000000000000 atoms"),
        ("pos:R:3", "pos:R:4", "another number of columns"),
        ("pos:R:3", "pos:R:x", "Properties is malformed"),
        ("pos:R:3", "place:R:3", "lacks species or pos"),
        ("cheap_energy=", 'x="_JSON {{" cheap_energy=', "second line cannot be read"),
        ("O  ", "Q  ", "unknown element"),
        ("H  ", "H 1.0 ", "another number of columns"),
    ],
)
def test_malformed_frames_are_refused(
    old: str,
    new: str,
    said: str,
    imported: Import,
    written: Callable[..., Path],
    nothing_left: Callable[[], bool],
) -> None:
    source = written(molecules())
    source.write_text(source.read_text().replace(old, new, 1))
    with pytest.raises(DatasetError, match=said):
        imported(source)
    assert nothing_left()


@pytest.mark.parametrize(
    ("factor", "said"),
    [
        (27.211386245988, "times what all electrons have, as of eV taken for Ha"),
        (23.06, "times what all electrons have, as of kcal/mol taken for eV"),
        (96.485, "times what all electrons have, as of kJ/mol taken for eV"),
    ],
)
def test_energies_below_those_of_all_electrons_are_noticed(
    imported: Import, written: Callable[..., Path], factor: float, said: str
) -> None:
    frames = molecules()
    for atoms in frames:
        if "cc_energy" in atoms.info:
            atoms.info["cc_energy"] *= factor
    with pytest.raises(DatasetError) as error:
        imported(written(frames))
    assert said in str(error.value)


def test_labels_in_hartree_that_are_taken_for_ev_are_noticed(
    imported: Import, written: Callable[..., Path], nothing_left: Callable[[], bool]
) -> None:
    frames = molecules()
    for atoms in frames:
        if "cc_energy" in atoms.info:
            atoms.info["cc_energy"] /= 27.211386245988
    source = written(frames)
    with pytest.raises(DatasetError) as error:
        imported(source)
    assert "times what all electrons have, as of Ha taken for eV" in str(error.value)
    assert "which is the ratio of Ha to eV" in str(error.value)
    assert nothing_left()
    _, report = imported(source, trust_units=True)
    assert len(report.doubts) == 2


def test_outliers_are_reported_and_kept(imported: Import, written: Callable[..., Path]) -> None:
    frames = molecules()
    frames[7].info["cheap_energy"] += 300
    dataset, report = imported(written(frames))
    assert dataset.n_structures == 60
    assert report.methods[0].outliers == 1
    assert "1 energies far from all others (mine.xyz, structure 8)" in report.to_text()


def test_duplicates_are_merged_and_contradictions_told(
    imported: Import, written: Callable[..., Path]
) -> None:
    frames = molecules()
    again, other = frames[3].copy(), frames[4].copy()
    other.info["cheap_energy"] += 0.5
    dataset, report = imported(written([*frames, again, other]))
    assert (report.read, report.kept, report.duplicates) == (62, 60, 2)
    assert [m.contradictions for m in report.methods] == [1, 0]
    assert dataset.energies("cheap", [4])[0] == frames[4].info["cheap_energy"]


def test_labels_without_the_methods_forces_are_told(
    imported: Import, written: Callable[..., Path]
) -> None:
    frames = molecules()
    del frames[0].arrays["cheap_forces"]
    _, report = imported(written(frames))
    assert report.methods[0].labels == 59
    assert report.methods[0].without_forces == 1
    assert report.kept == 60


@pytest.mark.parametrize(
    ("methods", "options", "said"),
    [
        (("dft:energy=dft_energy", *METHODS), {}, "no energy|no structure has an energy"),
        (("cheap:energy=cheap_energy,forces=f", METHODS[1]), {}, "has forces 'f'"),
        ((), {}, "say where labels are"),
        (METHODS, {"only_with": ["dft"]}, "choose from cheap, cc"),
        (METHODS, {"subsets": {"t": 100}}, "60 structures are there"),
        (METHODS, {"subsets": {"t": 0}}, "it needs some in t"),
        ((f"{METHODS[1]},file=other.xyz",), {}, "none of the sources"),
        ((METHODS[1], METHODS[1]), {}, "named twice"),
    ],
)
def test_wrong_questions_are_refused(
    methods: tuple[str, ...],
    options: dict[str, object],
    said: str,
    imported: Import,
    written: Callable[..., Path],
    nothing_left: Callable[[], bool],
) -> None:
    source = written(molecules())
    with pytest.raises(DatasetError, match=said):
        imported(source, methods=methods, **options)
    assert nothing_left()


@pytest.mark.parametrize(
    "name", ["empty.xyz", "noise.xyz", "noise.db", "noise.h5", "none.xyz", "a.csv"]
)
def test_files_that_are_no_source_are_refused(
    name: str, tmp_path: Path, imported: Import, nothing_left: Callable[[], bool]
) -> None:
    if not name.startswith("none"):
        noise = b"" if name.startswith("empty") else np.random.default_rng(0).bytes(5000)
        (tmp_path / name).write_bytes(noise)
    with pytest.raises(DatasetError):
        imported(tmp_path / name)
    assert nothing_left()
    assert {path.name for path in tmp_path.iterdir()} <= {name, "out"}


@pytest.mark.parametrize(
    "text",
    [
        "dft",
        "dft:forces=f",
        ":energy=e",
        "dft:energy=e,energy=f",
        "dft:energy=e,cost=-1",
        "dft:energy=e,cost=nan",
        "dft:energy=e,unit=hogshead",
        "a/b:energy=e",
    ],
)
def test_a_malformed_mapping_is_refused(text: str) -> None:
    with pytest.raises(DatasetError):
        parse_method(text, "eV")


@pytest.mark.parametrize("text", ["d=5", "a=x", "a=1.5", "a=-1", "a=1,a=2", "a=inf", "a"])
def test_a_malformed_subset_is_refused(text: str) -> None:
    with pytest.raises(DatasetError, match="--subset"):
        parse_subsets([text])


@pytest.mark.parametrize("ending", [".xyz", ".db", ".h5"])
def test_whatever_bytes_are_damaged_all_or_nothing_is_imported(
    ending: str,
    tmp_path: Path,
    imported: Import,
    written: Callable[..., Path],
    ani1x: tuple[Path, list[Atoms]],
    nothing_left: Callable[[], bool],
) -> None:
    source = ani1x[0] if ending == ".h5" else written(molecules())
    if ending == ".db":
        source = tmp_path / "mine.db"
        with connect(source) as database:
            for atoms in molecules():
                pairs = {key: value for key, value in atoms.info.items() if "energy" in key}
                data = {"cheap_forces": atoms.arrays["cheap_forces"]}
                database.write(
                    Atoms(atoms.numbers, atoms.positions), key_value_pairs=pairs, data=data
                )
    whole = np.frombuffer(source.read_bytes(), dtype=np.uint8)
    rng = np.random.default_rng(11)
    refused = []
    for _ in range(25):
        damaged = whole[: rng.integers(len(whole))] if rng.random() < 0.2 else whole.copy()
        places = rng.integers(0, len(damaged), size=4)
        damaged = damaged.copy()
        damaged[places] = rng.integers(0, 256, size=4)
        source.write_bytes(damaged.tobytes())
        try:
            dataset, _ = imported(source, methods=() if ending == ".h5" else METHODS)
        except DatasetError as error:
            refused.append(str(error))
            left = not nothing_left()
        else:
            left = not dataset.n_structures
            shutil.rmtree(dataset.path)
        assert not left
        assert source.read_bytes() == damaged.tobytes()
    assert refused
    assert not any("\n" in message for message in refused)

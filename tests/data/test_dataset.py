"""Opening datasets, reading structures and labels, and what a damaged one says."""

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mfscale.data import Dataset, DatasetError, fit_offsets, open_dataset

MakeDataset = Callable[..., Dataset]


def test_the_embedded_dataset_opens_by_name_and_any_by_path(chno3: Dataset) -> None:
    assert chno3.elements == ("H", "C", "N", "O")
    assert chno3.n_structures == 17_000
    assert [(m.name, m.has_forces, m.cost) for m in chno3.methods.values()] == [
        ("xtb", True, 1),
        ("dft", True, 100),
        ("cc", False, 1000),
    ]
    assert open_dataset(chno3.path).digest == chno3.digest


def test_an_unknown_name_lists_what_exists(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no dataset 'chn03': did you mean chno3\?"):
        open_dataset("chn03")
    with pytest.raises(DatasetError, match=r"embedded dataset \(chno3\)"):
        open_dataset(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match=r"not a dataset, dataset\.json is missing"):
        open_dataset(tmp_path)


def test_a_pickled_dataset_is_its_path(chno3: Dataset) -> None:
    sent = pickle.dumps(chno3)
    assert len(sent) < 1000
    assert pickle.loads(sent).digest == chno3.digest  # noqa: S301 - our own bytes


def test_reading_leaves_the_files_untouchable(chno3: Dataset) -> None:
    with pytest.raises(ValueError, match="read-only"):
        chno3.first_atom[0] = 1


def test_structures_may_be_asked_for_in_any_order(chno3: Dataset) -> None:
    rows = [400, 3, 3, 16_999]
    one_by_one = [chno3.structure(row) for row in rows]
    np.testing.assert_array_equal(chno3.n_atoms(rows), [len(atoms) for atoms in one_by_one])
    np.testing.assert_array_equal(
        chno3.positions(rows), np.concatenate([atoms.positions for atoms in one_by_one])
    )
    expected = [[atoms.symbols.count(e) for e in chno3.elements] for atoms in one_by_one]
    np.testing.assert_array_equal(chno3.composition(rows), expected)


def test_nothing_asked_for_is_nothing_given(chno3: Dataset) -> None:
    none = np.zeros(0, dtype=np.int64)
    assert chno3.positions(none).shape == (0, 3)
    assert chno3.composition(none).shape == (0, 4)
    assert chno3.energies("cc", none).shape == (0,)
    assert chno3.forces("dft", none).shape == (0, 3)


def test_missing_labels_are_nan(make_dataset: MakeDataset) -> None:
    dataset = make_dataset(50, n_dear=10)
    assert np.isfinite(dataset.energies("dear", [9, 10, 49])).tolist() == [True, False, False]
    unlabelled = int(
        np.setdiff1d(np.arange(17_000), open_dataset("chno3").labelled_structures("dft"))[0]
    )
    forces = open_dataset("chno3").forces("dft", [unlabelled])
    assert np.isnan(forces).all()


def test_wrong_questions_are_answered_clearly(chno3: Dataset) -> None:
    with pytest.raises(DatasetError, match="'cc' has no forces"):
        chno3.forces("cc", [0])
    with pytest.raises(DatasetError, match="unknown method 'mp2'"):
        chno3.energies("mp2", [0])
    with pytest.raises(
        DatasetError, match="structure 17000 does not exist; choose from 0 to 16999"
    ):
        chno3.energies("cc", [0, 17_000])
    with pytest.raises(DatasetError, match="structure -1 does not exist"):
        chno3.structure(-1)


def _truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def _shorten(file: Path) -> None:
    np.save(file, np.load(file)[:-1])


def _narrow(file: Path) -> None:
    np.save(file, np.load(file).astype(np.float32))


def _shift(file: Path) -> None:
    np.save(file, np.load(file) + 1)


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("positions", Path.unlink, "is missing"),
        ("positions", _truncate, "is truncated or damaged"),
        ("positions", _shorten, r"has shape \(121082, 3\), not the \(121083, 3\)"),
        ("positions", _narrow, "holds float32, not float64"),
        ("first_atom", _shift, "runs from 1 to 121084 instead of 0 to 121083"),
        ("xtb_energy", _shorten, r"has shape \(16999,\), not the \(17000,\)"),
        ("dft_first_force", _shift, "runs from 1 to"),
        ("cc_structure", lambda file: file.write_bytes(b""), "is truncated or damaged"),
        ("digest", lambda file: file.write_text("not an array"), "is truncated or damaged"),
        (
            "molecule",
            lambda file: np.save(file, np.int32(3)),
            r"has shape \(\), not the \(17000,\)",
        ),
    ],
)
def test_a_damaged_array_is_named(
    copied: Path, name: str, damage: Callable[[Path], object], message: str
) -> None:
    damage(copied / f"{name}.npy")
    with pytest.raises(DatasetError, match=rf"{name}\.npy: {message}.*restore the file"):
        open_dataset(copied)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 2}, "format_version 2 is newer than 1, .* upgrade mfscale"),
        ({"format_version": "2"}, "format_version: "),
        ({"licence": None}, "licence: "),
        ({"methods": None}, "methods: "),
        ({"metods": []}, "metods: "),
        ({"elements": {"H": 1, "C": 6, "N": 7}}, None),
    ],
)
def test_a_wrong_header_is_named(
    copied: Path, change: dict[str, object], message: str | None
) -> None:
    file = copied / "dataset.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    if message is None:
        with pytest.raises(DatasetError, match=r"numbers\.npy: holds elements .*\(H, C, N\)"):
            open_dataset(copied).composition(np.arange(100))
        return
    with pytest.raises(DatasetError, match=rf"dataset\.json: {message}"):
        open_dataset(copied)


@pytest.mark.parametrize("text", ["{", "[]", "\x00", '"chno3"'])
def test_a_broken_header_is_named(copied: Path, text: str) -> None:
    (copied / "dataset.json").write_text(text)
    with pytest.raises(DatasetError, match=r"dataset\.json: "):
        open_dataset(copied)


def test_offsets_are_found_again_and_rank_safe() -> None:
    rng = np.random.default_rng(0)
    composition = rng.integers(0, 6, size=(40, 4)).astype(float)
    offsets = np.array([-13.6, -1029.1, -1485.3, -2042.6])
    np.testing.assert_allclose(fit_offsets(composition, composition @ offsets), offsets, rtol=1e-12)
    # Hydrogen twice as often as oxygen, always: only the sum 2 μ_H + μ_O is determined, and the
    # smallest solution shares it in the proportion of the counts.
    water = np.outer(np.arange(1, 5), [2.0, 1.0])
    np.testing.assert_allclose(fit_offsets(water, water @ [3.0, 4.0]), [4.0, 2.0])


def test_importing_the_room_imports_nothing_heavy() -> None:
    code = (
        "import sys, mfscale.data as d; d.describe(d.open_dataset('chno3'));"
        "print({'torch', 'ray', 'ase', 'matscipy', 'pandas', 'pyarrow', 'scipy'} & {*sys.modules})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"

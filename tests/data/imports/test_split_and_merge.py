"""Datasets divided anew and joined; the subsets that a source names are kept."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from mfscale.data import SUBSETS, Dataset, DatasetError, open_dataset
from mfscale.data.imports import add_split, import_dataset, parse_method
from tests.data.imports.conftest import METHODS, Import, molecules


def test_subsets_that_a_key_names_are_kept(imported: Import, written: Callable[..., Path]) -> None:
    frames = molecules()
    words = ("train", "train", "validation", "test", "b", "")
    for k, atoms in enumerate(frames):
        if words[k % 6]:
            atoms.info["part"] = words[k % 6]
    dataset, _ = imported(written(frames), split_key="part")
    assert dataset.splits == ("random", "source")
    codes = dataset.subset_codes("source")
    assert codes[:6].tolist() == [0, 0, 0, 3, 1, 255]
    assert dataset.n_labels("cheap", "a", split="source") == (20, 10)
    assert dataset.n_labels("cheap", "b", split="source") == (10, 0)
    drawn = dataset.labelled_set(
        "cheap", "a", 20, forces=True, split="source", n_validation=10, data_seed=3
    )
    assert set(drawn.validation) == set(range(2, 60, 6))
    shutil.rmtree(dataset.path)
    frames[7].info["part"] = "holdout"
    with pytest.raises(DatasetError, match="1 × is in a subset 'holdout', which is none of a, b"):
        imported(written(frames, "other.xyz"), split_key="part")


def test_validation_is_by_content_where_the_source_names_none(
    imported: Import, written: Callable[..., Path]
) -> None:
    frames = molecules()
    for k, atoms in enumerate(frames):
        atoms.info["part"] = "abct"[k % 4]
    dataset, _ = imported(written(frames), split_key="part")
    counts = [dataset.n_labels("cheap", subset, split="source") for subset in "abc"]
    assert [sum(count) for count in counts] == [15, 15, 15]
    assert (dataset.reserved("source") == dataset.reserved("random")).all()


@pytest.mark.parametrize("by", ["structure", "molecule", "formula"])
def test_a_new_split_leaves_the_others_as_they_are(
    by: str, imported: Import, written: Callable[..., Path]
) -> None:
    frames = molecules(200)
    for k, atoms in enumerate(frames):
        atoms.info["molecule"] = f"m{k % 20}"
        if by == "formula":
            atoms.extend(Atoms("N" * (k % 7), [[9, 3 * i, 0] for i in range(k % 7)]))
            atoms.arrays["cheap_forces"][:] = 0.1
    before, _ = imported(written(frames))
    drawn = before.labelled_set("cheap", "a", 5, forces=True, n_validation=1).digest
    added = add_split(before, "again", by=by, subsets={"t": 0.3}, seed=5)
    dataset = Dataset(before.path)
    assert dataset.splits[-1] == "again"
    assert dataset.labelled_set("cheap", "a", 5, forces=True, n_validation=1).digest == drawn
    codes = dataset.subset_codes("again")
    assert added.structures == {s: int((codes == k).sum()) for k, s in enumerate(SUBSETS)}
    if by == "structure":
        assert added.structures["t"] == 60
    else:
        what = [
            dataset.structure(k).get_chemical_formula()
            if by == "formula"
            else dataset.structure(k).info["molecule"]
            for k in range(200)
        ]
        assert len({(w, int(c)) for w, c in zip(what, codes, strict=True)}) == len(set(what))
    with pytest.raises(DatasetError, match="has a split again already"):
        add_split(dataset, "again")
    with pytest.raises(DatasetError, match="needs some in t"):
        add_split(dataset, "none", subsets={"t": 0})
    assert Dataset(before.path).splits == dataset.splits


def test_the_embedded_dataset_is_not_changed() -> None:
    with pytest.raises(DatasetError, match="comes with mfscale and is not changed"):
        add_split(open_dataset("chno3"), "mine")


def test_datasets_are_joined_by_structure(tmp_path: Path, written: Callable[..., Path]) -> None:
    frames = molecules()
    cheap = written(frames[:50], "cheap.xyz")
    moved = [atoms.copy() for atoms in frames[20:]]
    for atoms in moved:
        atoms.positions = np.round(atoms.positions, 4)
    dear = written([atoms for atoms in moved if "cc_energy" in atoms.info], "dear.xyz")
    for source, method in ((cheap, METHODS[0]), (dear, METHODS[1])):
        import_dataset(
            [source], tmp_path / source.stem, name=source.stem, methods=[parse_method(method, "eV")]
        )
    sources = [tmp_path / "cheap", tmp_path / "dear"]
    digests = [Dataset(source).digest for source in sources]
    report = import_dataset(sources, tmp_path / "both", name="both")
    both = Dataset(tmp_path / "both")
    assert (report.read, report.matched, report.duplicates, report.kept) == (70, 15, 0, 55)
    assert list(both.methods) == ["cheap", "cc"]
    assert both.methods["cheap"].cost == 10
    for k, atoms in enumerate(frames[:50]):
        assert both.energies("cheap", [k])[0] == atoms.info["cheap_energy"]
        cc = atoms.info.get("cc_energy", np.nan) if k >= 20 else np.nan
        assert np.isclose(both.energies("cc", [k])[0], cc, rtol=1e-14, equal_nan=True)
        assert np.allclose(both.forces("cheap", [k]), atoms.arrays["cheap_forces"], atol=1e-6)
    codes = Dataset(sources[0]).subset_codes()
    assert (both.subset_codes("source")[:50] == codes).all()
    assert [Dataset(source).digest for source in sources] == digests
    apart = import_dataset(sources, tmp_path / "apart", name="apart", tolerance_a=0)
    assert (apart.matched, apart.kept) == (0, 70)
    with pytest.raises(DatasetError, match="--tolerance 3"):
        import_dataset(sources, tmp_path / "far", name="far", tolerance_a=3)
    with pytest.raises(DatasetError, match="has no split 'x'; choose from random"):
        import_dataset(sources, tmp_path / "none", name="none", split_key="x")

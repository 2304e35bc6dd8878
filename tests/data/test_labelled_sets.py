"""Labelled sets nest, never overlap what is kept back, and are known by their content."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfscale.data import SUBSETS, TRAINING_SUBSETS, Dataset, DatasetError, LabelledSet

MakeDataset = Callable[..., Dataset]


def draw(dataset: Dataset, method: str, size: int, **options: object) -> LabelledSet:
    request = {"subset": "a", "forces": False, "n_validation": 20} | options
    return dataset.labelled_set(method, size=size, **request)


@settings(deadline=None)
@given(
    sizes=st.tuples(st.integers(1, 591), st.integers(1, 591)).map(sorted),
    seed=st.integers(0, 2**40),
)
def test_smaller_sets_begin_larger_ones(chno3: Dataset, sizes: list[int], seed: int) -> None:
    small, large = (draw(chno3, "cc", size, data_seed=seed) for size in sizes)
    np.testing.assert_array_equal(large.train[: sizes[0]], small.train)
    np.testing.assert_array_equal(large.validation, small.validation)
    assert len(np.unique(large.train)) == sizes[1]


@pytest.mark.parametrize("split", ["random", "molecule"])
def test_nothing_is_in_two_places(chno3: Dataset, split: str) -> None:
    parts = [chno3.test_structures(split=split)]
    for subset in TRAINING_SUBSETS:
        n_training, n_validation = chno3.n_labels("xtb", subset, split=split)
        everything = draw(
            chno3, "xtb", n_training, subset=subset, split=split, n_validation=n_validation
        )
        parts += [everything.train, everything.validation]
    np.testing.assert_array_equal(
        np.sort(np.concatenate(parts)), np.arange(chno3.n_structures), strict=True
    )


def test_validation_is_a_tenth_and_knows_no_seed_size_method_or_split(chno3: Dataset) -> None:
    n_training, n_validation = chno3.n_labels("xtb", "b")
    # A binomial share of 0.1 among 12,521: five standard deviations are 0.0134.
    assert n_validation / (n_training + n_validation) == pytest.approx(0.1, abs=0.0134)
    whole = {
        (method, split): set(
            draw(chno3, method, 1, split=split, n_validation=n).validation.tolist()
        )
        for split in chno3.splits
        for method in ("dft", "cc")
        for n in [chno3.n_labels(method, "a", split=split)[1]]
    }
    assert whole["dft", "random"] == whole["cc", "random"]
    trained = draw(chno3, "dft", chno3.n_labels("dft", "a", split="molecule")[0], split="molecule")
    assert not whole["dft", "random"] & set(trained.train.tolist())
    first, second = draw(chno3, "cc", 5), draw(chno3, "cc", 500, data_seed=3)
    np.testing.assert_array_equal(first.validation, second.validation)


def test_seeds_draw_different_sets_of_the_expected_overlap(chno3: Dataset) -> None:
    sets = [set(draw(chno3, "cc", 200, data_seed=seed).train.tolist()) for seed in range(20)]
    overlaps = [len(sets[i] & sets[j]) for i in range(20) for j in range(i)]
    # Hypergeometric: mean 200²/591 = 67.7, standard deviation 5.5 for one pair.
    assert np.mean(overlaps) == pytest.approx(200**2 / 591, abs=3)
    assert max(overlaps) < 67.7 + 6 * 5.5


def test_methods_agree_on_the_structures_they_share(chno3: Dataset) -> None:
    dft, cc = draw(chno3, "dft", 150), draw(chno3, "cc", 150)
    np.testing.assert_array_equal(dft.train, cc.train)
    xtb = draw(chno3, "xtb", 1978).train
    labelled_by_dft = xtb[np.isfinite(chno3.energies("dft", xtb))]
    np.testing.assert_array_equal(labelled_by_dft[:150], dft.train)


def test_new_labels_do_not_reorder_old_ones(make_dataset: MakeDataset) -> None:
    few, many = make_dataset(400, n_dear=200), make_dataset(400, n_dear=400)
    before = draw(few, "dear", few.n_labels("dear", "a")[0], n_validation=0).train
    after = draw(many, "dear", many.n_labels("dear", "a")[0], n_validation=0).train
    assert len(after) > len(before)
    np.testing.assert_array_equal(after[after < 200], before)


def test_no_molecule_is_in_two_subsets(chno3: Dataset) -> None:
    molecules = {"t": set(chno3.molecule[chno3.test_structures(split="molecule")].tolist())}
    for subset in TRAINING_SUBSETS:
        whole = draw(
            chno3,
            "xtb",
            chno3.n_labels("xtb", subset, split="molecule")[0],
            subset=subset,
            split="molecule",
        )
        molecules[subset] = set(chno3.molecule[whole.train].tolist())
    assert sum(map(len, molecules.values())) == len(set.union(*molecules.values())) == 62


def test_the_molecule_split_keeps_the_shares_of_dft_labels(chno3: Dataset) -> None:
    largest_molecule = 88
    for subset in TRAINING_SUBSETS:
        random, molecule = (sum(chno3.n_labels("dft", subset, split=s)) for s in chno3.splits)
        assert abs(random - molecule) <= largest_molecule
        assert sum(chno3.n_labels("cc", subset, split="molecule")) > 150


def test_the_digest_is_the_content_alone(make_dataset: MakeDataset) -> None:
    def digest(dataset: Dataset, method: str = "cheap", **options: object) -> str:
        return draw(dataset, method, 10, **({"n_validation": 1} | options)).digest

    def change(name: str, index: object) -> Dataset:
        def add_one(arrays: dict[str, np.ndarray]) -> None:
            arrays[name] = arrays[name].copy()
            arrays[name][index] += 1

        return make_dataset(120, change=add_one)

    original = make_dataset(120)
    drawn = draw(original, "cheap", 10, n_validation=1)
    inside, kept_back = int(drawn.train[0]), int(drawn.validation[0])
    outside = int(np.setdiff1d(np.arange(120), [*drawn.train, kept_back])[0])
    with_forces = digest(original, forces=True)

    assert digest(make_dataset(120, name="other")) == drawn.digest
    assert digest(make_dataset(120, n_dear=30)) == drawn.digest
    assert digest(change("cheap_energy", outside)) == drawn.digest
    assert digest(change("cheap_forces", original.first_atom[inside])) == drawn.digest
    different = [
        with_forces,
        digest(original, data_seed=1),
        digest(original, n_validation=0),
        digest(original, subset="b"),
        digest(original, "dear"),
        digest(change("cheap_energy", inside)),
        digest(change("cheap_energy", kept_back)),
        digest(change("cheap_forces", original.first_atom[inside]), forces=True),
    ]
    assert len({drawn.digest, *different}) == 1 + len(different)


def test_the_digest_is_as_documented(chno3: Dataset) -> None:
    drawn = draw(chno3, "dft", 3, forces=True, n_validation=2)
    content = hashlib.sha256(f"{('H', 'C', 'N', 'O')} 3 True".encode())
    rows = [*drawn.train, *drawn.validation]
    for row in rows:
        atoms = chno3.structure(int(row))
        structure = atoms.numbers.astype("u1").tobytes() + atoms.positions.astype("<f8").tobytes()
        content.update(hashlib.sha256(structure).digest()[:16])
    content.update(chno3.energies("dft", rows).astype("<f8").tobytes())
    for row in rows:
        forces = chno3.forces("dft", [row]).astype("<f4")
        content.update(hashlib.sha256(forces.tobytes()).digest()[:16])
    assert drawn.digest == content.hexdigest()


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"method": "ccsd"}, "unknown method 'ccsd'; choose from xtb, dft, cc"),
        ({"subset": "d"}, "unknown subset 'd'; choose from a, b, c, t"),
        ({"split": "scaffold"}, "unknown split 'scaffold'; choose from random, molecule"),
        ({"subset": "t"}, "subset 't' is for testing alone; train on one of a, b, c"),
        ({"forces": True}, r"'cc' has no forces; set forces: false, .* \(xtb, dft\)"),
        ({"size": 5000}, "591 training labels in subset 'a', so size 5000 .* a 591, c 320"),
        ({"size": 0}, "size 0 is impossible"),
        ({"subset": "b"}, "0 training labels in subset 'b'.* a 591, c 320"),
        ({"n_validation": 100}, "77 validation labels in subset 'a'.* ask for 0 to 77"),
        ({"n_validation": -1}, "n_validation -1 is impossible"),
    ],
)
def test_an_impossible_request_says_what_is_possible(
    chno3: Dataset, request_: dict[str, object], message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        draw(chno3, **({"method": "cc", "size": 50} | request_))


def test_the_test_subset_has_no_labels_to_train_on(chno3: Dataset) -> None:
    assert chno3.n_labels("cc", "t") == (0, 0)
    assert SUBSETS[-1] == "t"
    with pytest.raises(DatasetError, match="unknown method"):
        chno3.n_labels("mp2", "a")


def test_a_name_means_nothing_to_a_draw(make_dataset: MakeDataset, tmp_path: Path) -> None:
    one, other = make_dataset(name="one"), make_dataset(name="other")
    assert one.path != other.path
    assert one.path.is_relative_to(tmp_path)
    assert one.digest == other.digest
    np.testing.assert_array_equal(
        draw(one, "cheap", 5, n_validation=0).train, draw(other, "cheap", 5, n_validation=0).train
    )

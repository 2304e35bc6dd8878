"""The difference of two methods as labels: exact, where both are known, of its own content."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfscale.data import Dataset, DatasetError, open_dataset
from tests.data.conftest import MakeDataset

SOURCES = ("cc - xtb", "dft - xtb", "cc - dft")


@pytest.mark.parametrize("source", SOURCES)
def test_energies_are_differences_where_both_are_known(chno3: Dataset, source: str) -> None:
    high, low = source.split(" - ")
    labelled = chno3.labelled_structures(source)
    both = np.intersect1d(chno3.labelled_structures(high), chno3.labelled_structures(low))
    assert np.array_equal(labelled, both)
    assert len(both)
    energies = chno3.energies(source, labelled)
    assert np.array_equal(
        energies, chno3.energies(high, labelled) - chno3.energies(low, labelled)
    ), "to the last bit"
    every = np.arange(chno3.n_structures)
    assert np.array_equal(np.isnan(chno3.energies(source, every)), ~np.isin(every, both))


def test_forces_are_differences_where_both_methods_have_them(chno3: Dataset) -> None:
    assert chno3.has_forces("dft - xtb")
    labelled = chno3.labelled_structures("dft - xtb")
    some = labelled[:: max(1, len(labelled) // 200)][::-1]  # in no particular order
    wanted = chno3.forces("dft", some) - chno3.forces("xtb", some)
    assert np.array_equal(chno3.forces("dft - xtb", some), wanted)
    unlabelled = np.setdiff1d(np.arange(chno3.n_structures), labelled)[:3]
    assert np.isnan(chno3.forces("dft - xtb", unlabelled)).all()


@pytest.mark.parametrize("source", ["cc - xtb", "xtb - cc"])
def test_a_difference_has_no_forces_where_one_method_lacks_them(
    chno3: Dataset, source: str
) -> None:
    assert not chno3.has_forces(source)
    with pytest.raises(DatasetError, match=rf"'{source}' has no forces; set forces: false"):
        chno3.labelled_set(source, "a", 5, forces=True, n_validation=2)


def test_structures_are_asked_for_in_any_order(make_dataset: MakeDataset) -> None:
    """Labels of one method on every second structure, of the other on all."""

    def two(arrays: dict[str, np.ndarray]) -> None:
        arrays["dear_structure"] = np.arange(0, 60, 2)
        arrays["dear_energy"] = arrays["dear_energy"][:30]

    dataset = make_dataset(change=two)
    assert np.array_equal(dataset.labelled_structures("cheap - dear"), np.arange(0, 60, 2))
    wanted = dataset.energies("cheap", [4, 2]) - dataset.energies("dear", [4, 2])
    assert np.array_equal(dataset.energies("cheap - dear", [4, 2]), wanted)
    assert np.isnan(dataset.energies("cheap - dear", [1, 3])).all()
    nothing = dataset.labelled_structures("cheap - cheap")
    assert not dataset.energies("cheap - cheap", nothing).any()
    assert not dataset.forces("cheap - cheap", nothing).any()


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 3))
def test_draws_nest_and_are_those_of_the_methods(one: int, other: int, data_seed: int) -> None:
    """A difference draws the structures its methods would, as far as both have labelled them."""
    dataset = open_dataset("chno3")
    options = {"forces": False, "data_seed": data_seed, "n_validation": 8}
    small, large = (
        dataset.labelled_set("cc - xtb", "a", size, **options) for size in sorted((one, other))
    )
    assert np.array_equal(small.train, large.train[: len(small.train)])
    assert np.array_equal(small.validation, large.validation)
    every = dataset.n_labels("cc", "a")[0]
    drawn = dataset.labelled_set("cc", "a", every, **options).train
    common = drawn[np.isin(drawn, dataset.labelled_structures("cc - xtb"))]
    assert np.array_equal(large.train, common[: len(large.train)])


@pytest.mark.parametrize("subset", ["a", "b", "c", "t"])
def test_labels_are_counted_where_both_are_known(chno3: Dataset, subset: str) -> None:
    counts = {m: chno3.n_labels(m, subset) for m in ("cc", "xtb", "cc - xtb", "xtb - cc")}
    assert counts["cc - xtb"] == counts["xtb - cc"]
    for kind in (0, 1):
        assert counts["cc - xtb"][kind] <= min(counts["cc"][kind], counts["xtb"][kind])


def test_the_content_is_another_than_that_of_the_parts(chno3: Dataset) -> None:
    options = {"forces": False, "n_validation": 8}
    sources = ("cc", "xtb", "dft", "cc - xtb", "xtb - cc", "cc - dft", "dft - xtb")
    digests = {m: chno3.labelled_set(m, "a", 20, **options).digest for m in sources}
    assert len(set(digests.values())) == len(sources)
    with_forces = chno3.labelled_set("dft - xtb", "a", 20, forces=True, n_validation=8).digest
    assert with_forces != digests["dft - xtb"]
    again = open_dataset("chno3").labelled_set("cc - xtb", "a", 20, **options).digest
    assert again == digests["cc - xtb"]


@pytest.mark.parametrize("method", ["cheap_energy", "cheap_forces", "dear_energy"])
def test_the_content_follows_the_labels_of_both_methods(
    make_dataset: MakeDataset, method: str
) -> None:
    def corrected(arrays: dict[str, np.ndarray]) -> None:
        arrays[method] = arrays[method] + np.asarray(1, arrays[method].dtype)

    def digest(dataset: Dataset, source: str, *, forces: bool) -> str:
        (subset, size), *_ = (
            (s, n) for s in "abc" if (n := dataset.n_labels("cheap - dear", s)[0]) > 1
        )
        return dataset.labelled_set(source, subset, size, forces=forces, n_validation=0).digest

    plain, changed = make_dataset(name="plain"), make_dataset(name="changed", change=corrected)
    source, forces = ("cheap - cheap", True) if "forces" in method else ("cheap - dear", False)
    assert digest(plain, source, forces=forces) != digest(changed, source, forces=forces)


@pytest.mark.parametrize(
    ("source", "unknown"),
    [("cc - xbt", "xbt"), ("ccc - xtb", "ccc"), ("cc - ", ""), (" - xtb", ""), ("cc-xtb", "cc-xtb"),
     ("cc - dft - xtb", "dft - xtb")],
)  # fmt: skip
def test_unknown_methods_of_a_difference_are_named(
    chno3: Dataset, source: str, unknown: str
) -> None:
    with pytest.raises(DatasetError, match="unknown method") as caught:
        chno3.energies(source, [0])
    assert f"unknown method {unknown!r}; choose from" in str(caught.value)

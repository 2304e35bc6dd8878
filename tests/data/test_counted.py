"""Datasets known by their counts: every number with its basis, and no data."""

from pathlib import Path

import pytest

from mfscale.data import COUNTED, SUBSETS, DatasetError, counts_of, open_dataset


@pytest.mark.parametrize("name", COUNTED)
def test_counts_are_complete_and_say_what_they_rest_on(name: str) -> None:
    counts = counts_of(name)
    assert counts is not None
    assert counts.name == name
    assert tuple(counts.subsets) == SUBSETS
    assert all("approximate" in stated.basis for stated in counts.subsets.values())
    assert "assumed" in counts.mean_atoms.basis


def test_ani1ccx_is_as_the_paper_has_it() -> None:
    counts = counts_of("ani1ccx")
    assert counts is not None
    assert counts.n_structures == 475_000
    assert counts.n_labels("a") == (90_000, 10_000)
    assert counts.n_labels("t") == (0, 0)
    methods = {m.name: (m.has_forces, m.cost.value) for m in counts.methods}
    assert methods == {"xtb": (True, 1), "dft": (True, 100), "cc": (False, 1000)}
    assert "assumed" in next(m.forces_basis for m in counts.methods if m.name == "xtb")


def test_planned_digests_tell_requests_apart() -> None:
    counts = counts_of("ani1ccx")
    assert counts is not None
    one = counts.planned_digest({"method": "cc", "size": 100})
    assert one == counts.planned_digest({"size": 100, "method": "cc"})
    assert one != counts.planned_digest({"method": "cc", "size": 101})


def test_without_data_it_cannot_be_opened_and_a_directory_of_its_name_goes_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError, match="known by its counts alone"):
        open_dataset("ani1ccx")
    (tmp_path / "ani1ccx").symlink_to(open_dataset("chno3").path)
    assert counts_of("ani1ccx") is None
    assert open_dataset("ani1ccx").name == "chno3"

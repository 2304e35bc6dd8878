"""Labelling a dataset: what joins it, what is kept after a kill, and what is refused."""

import re
from collections.abc import Callable, Generator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import write

from mfscale.data import Dataset, DatasetError, describe, open_dataset
from mfscale.data.labelling import (
    LabelReport,
    Outcome,
    Piece,
    Place,
    Wanted,
    label_dataset,
    parse_level,
    place_of,
    serially,
)

Results = Generator[tuple[Piece, list[Outcome] | None], None, None]

CALCULATOR = '''
from pathlib import Path

import numpy as np
from ase.calculators.calculator import Calculator, all_changes


class Spring(Calculator):
    """Atoms bound to the origin; writes down each call, fails for those with nitrogen if told."""

    implemented_properties = ["energy", "forces"]

    def __init__(self, *, log, fails_for=0, stiffness=1.0):
        super().__init__()
        self.log, self.fails_for, self.stiffness = log, fails_for, stiffness

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        if "energy" in properties:
            with Path(self.log).open("a") as file:
                file.write("x")
        if self.fails_for in atoms.numbers:
            raise RuntimeError("the spring broke")
        r = atoms.positions
        energy = self.stiffness * (r**2).sum() / 2
        self.results = {"energy": energy, "forces": -self.stiffness * r}
'''


@pytest.fixture
def spring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., LabelReport]:
    """Label with a calculator of the current folder, whose calls are counted in ``log``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    module = f"springs_{tmp_path.name}"
    Path(f"{module}.py").write_text(CALCULATOR)

    def label(place: Place, *, options: str = "", **keywords: object) -> LabelReport:
        level = parse_level(f"{module}:Spring", f'{{"log": "{tmp_path}/log"{options}}}')
        return label_dataset(place, level, **keywords)

    return label


def calls(folder: Path) -> int:
    return len((folder / "log").read_text())


def until(n: int) -> Callable[..., Results]:
    """Spread that ends after n pieces, as after Ctrl-C."""

    def spread(
        function: Callable[[Piece], list[Outcome]], take: Callable[[], Piece | None]
    ) -> Results:
        yield from islice(serially(function, take), n)

    return spread


def test_labels_continue_a_method_in_a_new_folder(chno3: Dataset, tmp_path: Path) -> None:
    place = Place(dataset=chno3, method="dft", out=tmp_path / "more")
    lacking = np.setdiff1d(np.arange(chno3.n_structures), chno3.labelled_structures("dft"))
    # xTB does not continue DFT; what does is taken, and stands between the others.
    with pytest.raises(DatasetError, match="not of one method; name the new ones with --as"):
        label_dataset(place, parse_level("gfn2-xtb"), wanted=Wanted(limit=3))
    assert not place.journal.exists()
    report = label_dataset(place, parse_level("wb97x/6-31g(d)"), wanted=Wanted(limit=1))
    more = open_dataset(tmp_path / "more")
    assert report.path == str(tmp_path / "more")
    assert (report.labelled, report.failures, report.cost) == (1, (), 100)
    assert more.n_structures == chno3.n_structures
    labelled = more.labelled_structures("dft")
    assert (labelled == np.sort([*chno3.labelled_structures("dft"), lacking[0]])).all()
    old = chno3.labelled_structures("dft")
    assert (more.energies("dft", old) == chno3.energies("dft", old)).all()
    assert (more.forces("dft", old) == chno3.forces("dft", old)).all()
    assert np.isfinite(more.forces("dft", [lacking[0]])).all()
    assert more.methods["dft"].description == chno3.methods["dft"].description
    for method, forces in (("xtb", True), ("cc", False)):
        sets = [
            d.labelled_set(method, "a", 50, forces=forces, n_validation=8) for d in (chno3, more)
        ]
        assert sets[0].digest == sets[1].digest
    assert not place.journal.exists()


def test_a_new_method_joins_a_dataset_in_its_own_folder(
    spring: Callable[..., LabelReport], copied: Path
) -> None:
    mine = Dataset(copied)
    before = {m: mine.labelled_set(m, "a", 40, forces=False, n_validation=5) for m in mine.methods}
    place = Place(dataset=mine, method="spring", out=None)
    wanted = Wanted(subsets=("t",), labelled_by="cc", limit=30)
    report = spring(place, wanted=wanted, cost=7.0)
    after = Dataset(copied)
    labelled = after.labelled_structures("spring")
    assert len(labelled) == report.labelled == 30
    assert set(labelled) <= set(after.labelled_structures("cc"))
    assert set(labelled) <= set(after.test_structures())
    positions = [after.positions([k]) for k in labelled]
    expected = [float((r**2).sum()) / 2 for r in positions]
    assert np.allclose(after.energies("spring", labelled), expected)
    assert np.allclose(after.forces("spring", labelled), -np.concatenate(positions), atol=1e-6)
    assert after.methods["spring"].cost == 7
    for method, known in before.items():
        again = after.labelled_set(method, "a", 40, forces=False, n_validation=5)
        assert again.digest == known.digest
    with pytest.raises(DatasetError, match="has labels spring already"):
        spring(Place(dataset=after, method="spring", out=None), wanted=Wanted())


def test_an_interrupted_run_goes_on_where_it_was(
    spring: Callable[..., LabelReport], chno3: Dataset, tmp_path: Path
) -> None:
    place = Place(dataset=chno3, method="spring", out=tmp_path / "out")
    first = spring(place, wanted=Wanted(limit=200), spread=until(2))
    assert first.path is None
    assert 0 < first.labelled < 200
    assert not (tmp_path / "out").exists()
    with pytest.raises(DatasetError, match="delete the folder"):
        spring(place, options=', "stiffness": 2', wanted=Wanted(limit=200))
    # A writer that was killed leaves files that no one reads.
    (place.journal / ".0.parquet.killed").write_bytes(b"PAR1")
    second = spring(place, wanted=Wanted(limit=200))
    assert (second.labelled, second.before) == (200, first.labelled)
    assert calls(tmp_path) == 200
    assert len(open_dataset(tmp_path / "out").labelled_structures("spring")) == 200


def test_two_runs_do_not_label_the_same_structures(
    spring: Callable[..., LabelReport], chno3: Dataset, tmp_path: Path
) -> None:
    place = Place(dataset=chno3, method="spring", out=tmp_path / "out")

    def meeting(
        function: Callable[[Piece], list[Outcome]], take: Callable[[], Piece | None]
    ) -> Results:
        with pytest.raises(DatasetError, match="another process is labelling these structures"):
            spring(place, wanted=Wanted(limit=20))
        yield from serially(function, take)

    assert spring(place, wanted=Wanted(limit=20), spread=meeting).labelled == 20


def test_failures_are_recorded_and_tried_again_only_when_asked(
    spring: Callable[..., LabelReport], chno3: Dataset, tmp_path: Path
) -> None:
    wanted, breaks = Wanted(limit=100), ', "fails_for": 7'
    place = Place(dataset=chno3, method="spring", out=tmp_path / "one")
    broken = spring(place, options=breaks, wanted=wanted)
    (fault,) = broken.failures
    assert fault.reason == "RuntimeError: the spring broke"
    assert fault.count + broken.labelled == 100
    assert fault.count == len(broken.failed)
    one = open_dataset(tmp_path / "one")
    assert all(7 in one.structure(k).numbers for k in broken.failed)
    again = Place(dataset=one, method="spring", out=tmp_path / "two")
    (tmp_path / "log").unlink()
    report = spring(again, options=breaks, wanted=Wanted(limit=100))
    assert report.passed_over == fault.count
    assert set(broken.failed) <= set(report.failed)
    two = open_dataset(tmp_path / "two")
    third = Place(dataset=two, method="spring", out=tmp_path / "three")
    with pytest.raises(DatasetError, match="failed before; try them again with --retry-failed"):
        spring(third, options=breaks, wanted=Wanted(limit=len(report.failed) - 1))
    (tmp_path / "log").unlink()
    healed = spring(third, wanted=Wanted(limit=len(report.failed)), retry_failed=True)
    assert healed.failed == ()
    assert set(report.failed) <= set(open_dataset(tmp_path / "three").labelled_structures("spring"))


def test_a_run_of_failures_alone_adds_nothing(
    spring: Callable[..., LabelReport], chno3: Dataset, tmp_path: Path
) -> None:
    place = Place(dataset=chno3, method="spring", out=tmp_path / "out")
    report = spring(place, options=', "fails_for": 1', wanted=Wanted(limit=3, subsets=("a",)))
    assert (report.labelled, report.path) == (0, None)
    assert not (tmp_path / "out").exists()
    passed = spring(place, options=', "fails_for": 1', wanted=Wanted(limit=3, subsets=("a",)))
    assert passed.passed_over == len(report.failed)


def test_a_worker_that_dies_fails_its_structure_alone(
    spring: Callable[..., LabelReport], chno3: Dataset, tmp_path: Path
) -> None:
    def deadly(
        function: Callable[[Piece], list[Outcome]], take: Callable[[], Piece | None]
    ) -> Results:
        while (piece := take()) is not None:
            yield piece, None if 5 in [index for index, _, _ in piece] else function(piece)

    place = Place(dataset=chno3, method="spring", out=tmp_path / "out")
    report = spring(place, wanted=Wanted(limit=30), spread=deadly)
    assert report.failed == (5,)
    assert "died" in report.failures[0].reason
    assert report.labelled == 29


def test_structures_of_a_file_become_a_dataset(
    spring: Callable[..., LabelReport], chno3: Dataset, tmp_path: Path
) -> None:
    frames = [chno3.structure(k) for k in range(40)]
    write(tmp_path / "mine.xyz", [*frames, frames[0]], format="extxyz")
    with place_of("mine.xyz", "spring", None) as place:
        report = spring(place, wanted=Wanted(), cost=3.0)
        assert describe(place.dataset).to_text().startswith("mine: structures of mine.xyz")
    mine = open_dataset(tmp_path / "mine")
    assert report.labelled == mine.n_structures == 40
    assert set(mine.molecules) == {atoms.info["molecule"] for atoms in frames}
    assert sum(sum(mine.n_labels("spring", subset)) for subset in "abc") == 32
    assert len(mine.test_structures()) == 8
    with (
        pytest.raises(DatasetError, match="mine: exists already"),
        place_of("mine.xyz", "spring", None) as place,
    ):
        spring(place, wanted=Wanted())
    Path("text.xyz").write_text("no structure\n")
    write(tmp_path / "box.xyz", Atoms("Ar", cell=[9, 9, 9], pbc=True), format="extxyz")
    for name, said in (
        ("no.xyz", "no such file"),
        ("text.xyz", "structure 1: no extended XYZ"),
        ("box.xyz", "structure 1: is periodic"),
    ):
        with pytest.raises(DatasetError, match=said), place_of(name, "spring", None):
            pass


def test_costs_are_measured_against_another_method(
    spring: Callable[..., LabelReport], chno3: Dataset, tmp_path: Path
) -> None:
    place = Place(dataset=chno3, method="spring", out=tmp_path / "out")
    with pytest.raises(DatasetError, match="no other method whose time was measured"):
        spring(place, wanted=Wanted(limit=5), cost="measured")
    known = spring(place, wanted=Wanted(limit=5), cost=40.0)
    out = open_dataset(tmp_path / "out")
    report = label_dataset(
        Place(dataset=out, method="gfn1", out=None),
        parse_level("gfn1-xtb"),
        wanted=Wanted(limit=5),
        cost="measured",
    )
    assert known.cpu_s_per_label
    assert report.cpu_s_per_label
    assert report.cost == pytest.approx(40 * report.cpu_s_per_label / known.cpu_s_per_label)


@pytest.mark.parametrize(
    ("wanted", "method", "out", "said"),
    [
        (Wanted(limit=2), "new", None, "the embedded dataset is not changed"),
        (Wanted(limit=2), "a b", "out", "--as 'a b'"),
        (Wanted(limit=2), "new", ".", "exists already"),
        (Wanted(subsets=("q",)), "new", "out", "--subset q: unknown"),
        (Wanted(labelled_by="mp2"), "new", "out", "unknown method 'mp2'"),
        (Wanted(), "xtb", "out", "no structure that was asked for lacks a label xtb"),
        (Wanted(limit=2), "cc", "out", "lack forces"),
    ],
)
def test_requests_that_make_no_sense_are_refused(
    chno3: Dataset, tmp_path: Path, wanted: Wanted, method: str, out: str | None, said: str
) -> None:
    place = Place(dataset=chno3, method=method, out=out and tmp_path / out)
    with pytest.raises(DatasetError, match=re.escape(said)):
        label_dataset(place, parse_level("gfn2-xtb"), wanted=wanted)
    assert not list(tmp_path.iterdir())

"""An interrupted import goes on to what an undisturbed one gives, byte for byte."""

import fcntl
import json
import shutil
from collections.abc import Callable, Sequence
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.db import connect
from hypothesis import given, settings
from hypothesis import strategies as st

from mfscale.data import Dataset, DatasetError
from mfscale.data.imports import (
    ani_hdf5,
    ase_db,
    datasets,
    import_dataset,
    lmdb_records,
    lmdb_table,
    parse_method,
    reading,
    structures_kept,
)
from mfscale.data.imports.formats import format_of, methods_of
from mfscale.data.imports.record import Box, Item, Label, Record, Taken
from mfscale.data.imports.spool import Spool
from tests.data.imports.conftest import METHODS, molecules
from tests.data.imports.test_lmdb import release

N = 300
OFTEN_S = 0.005
FOLDER = ".mine.import"


def of_dataset(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def write_db(path: Path, frames: list[Atoms]) -> Path:
    with connect(path) as database:
        for atoms in frames:
            pairs = {key: value for key, value in atoms.info.items() if "energy" in key}
            data = {"cheap_forces": atoms.arrays["cheap_forces"]}
            database.write(Atoms(atoms.numbers, atoms.positions), key_value_pairs=pairs, data=data)
        database.delete([3, 7])
    return path


@pytest.fixture
def sources(
    tmp_path: Path, written: Callable[..., Path], ani1x: tuple[Path, list[Atoms]]
) -> dict[str, Path]:
    """One of each kind."""
    frames = molecules(N)
    xyz = written(frames)
    xyz.write_text("\n" + xyz.read_text().replace("\n3\n", "\n\n3\n"))  # blank lines are skipped
    release(tmp_path / "paper")
    made = tmp_path / "made"
    import_dataset([xyz], made, name="made", methods=[parse_method(m, "eV") for m in METHODS])
    return {
        "extended XYZ": xyz,
        "ASE": write_db(tmp_path / "mine.db", frames),
        "HDF5": ani1x[0],
        "LMDB with a table": tmp_path / "paper",
        "LMDB": tmp_path / "paper" / "data.lmdb",
        "dataset": made,
    }


def plain(item: Item) -> Any:  # noqa: ANN401 - an item, for comparison
    content = vars(item).copy()
    for name, label in content.pop("labels", {}).items():
        forces = None if label.forces is None else label.forces.tolist()
        content[name] = label.energy, forces
    return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in content.items()}


@pytest.mark.parametrize(
    "kind", ["extended XYZ", "ASE", "HDF5", "LMDB with a table", "LMDB", "dataset"]
)
def test_every_reader_goes_on_after_what_was_taken(
    kind: str, sources: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for reader in (ase_db, ani_hdf5, datasets, lmdb_records, lmdb_table):
        monkeypatch.setattr(reader, "_AT_ONCE", 20)
    source = sources[kind]
    if kind == "LMDB":
        (source.parent / "metadata.parquet").unlink()
        methods = (parse_method("dft:energy=energy,forces=forces", "eV"),)
    elif kind in {"extended XYZ", "ASE"}:
        methods = tuple(parse_method(m, "eV") for m in METHODS)
    else:
        methods = methods_of([source])
    read = format_of(source).read
    every = list(read(source, methods, None, Taken()).items)
    assert len(every) >= 90
    for k in {1, 2, 29, 30, 31, 59, 60, len(every) // 2, len(every) - 1, len(every)}:
        taken = Taken(structures=k, done=every[k - 1][0])
        left = list(read(source, methods, None, taken).items)
        assert [(done, plain(item)) for done, item in left] == [
            (done, plain(item)) for done, item in every[k:]
        ]


def test_a_malformed_frame_is_told_by_its_line_after_an_interruption(
    written: Callable[..., Path],
) -> None:
    source = written(molecules(20))
    lines = source.read_text().splitlines(keepends=True)
    at = [k for k, line in enumerate(lines) if "Properties" in line][12] - 1
    lines[at] = "many\n"
    source.write_text("".join(lines))
    read = format_of(source).read
    ends = [done for done, _ in islice(read(source, [], None, Taken()).items, 5)]
    taken = Taken(structures=5, done=ends[4])
    with pytest.raises(DatasetError, match=f"line {at + 1}: .* before begins at line"):
        list(read(source, [], None, taken).items)


def stop_at(n: int) -> Callable[[Path, int, int], None]:
    """Interrupts an import when it says for the n-th time how far it is."""
    times = count(1)

    def interrupt(_source: Path, _done: int, _total: int) -> None:
        if next(times) == n:
            raise KeyboardInterrupt

    return interrupt


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., list[str]]:
    """Import to ``out/mine``, or another place there; what it says."""

    def to(
        *sources: Path,
        place: str = "mine",
        methods: Sequence[str] = METHODS,
        **options: Any,  # noqa: ANN401 - of import_dataset
    ) -> list[str]:
        said: list[str] = []
        import_dataset(
            sources,
            tmp_path / "out" / place,
            name="mine",
            methods=[parse_method(text, "eV") for text in methods],
            say=said.append,
            **options,
        )
        return said

    return to


@pytest.fixture
def interrupted(
    run: Callable[..., list[str]],
    written: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """The source of an import that was interrupted after 256 structures of 300."""
    source = written(molecules(N))
    monkeypatch.setattr(reading, "EVERY_S", OFTEN_S)
    with pytest.raises(KeyboardInterrupt):
        run(source, progress=stop_at(1))
    assert 0 < structures_kept(tmp_path / "out" / "mine") <= 256
    return source


def test_an_interrupted_import_is_no_dataset_and_goes_on(
    interrupted: Path, run: Callable[..., list[str]], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert [path.name for path in out.iterdir()] == [FOLDER]
    with pytest.raises(DatasetError, match="not a dataset"):
        Dataset(out / FOLDER)
    kept = structures_kept(out / "mine")
    assert run(interrupted) == [
        f"{out}/mine: an interrupted import goes on after {kept} structures"
    ]
    assert [path.name for path in out.iterdir()] == ["mine"]
    assert run(interrupted, place="other") == []
    mine, other = of_dataset(out / "mine"), of_dataset(out / "other")
    reports = [json.loads(of.pop("import.json")) for of in (mine, other)]
    assert mine == other
    assert [report.pop("path") for report in reports] == [f"{out}/mine", f"{out}/other"]
    assert reports[0] == reports[1]
    assert Dataset(out / "mine").digest == Dataset(out / "other").digest


def test_what_comes_after_reading_may_be_another_when_it_goes_on(
    interrupted: Path, run: Callable[..., list[str]], tmp_path: Path
) -> None:
    (said,) = run(interrupted, seed=5, only_with=["cc"], description="other")
    assert "goes on" in said
    run(interrupted, place="other", seed=5, only_with=["cc"], description="other")
    assert Dataset(tmp_path / "out" / "mine").digest == Dataset(tmp_path / "out" / "other").digest


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"methods": METHODS[:1]}, "it was of other methods, keys or units"),
        ({"split_key": "part"}, "it was of another --split-key"),
    ],
)
def test_another_question_begins_anew(
    options: dict[str, Any], said: str, interrupted: Path, run: Callable[..., list[str]]
) -> None:
    (news,) = run(interrupted, **options)
    assert news.endswith(f"out/mine: an interrupted import is begun anew, for {said}")


def test_a_source_that_has_changed_begins_anew(
    interrupted: Path, run: Callable[..., list[str]], tmp_path: Path, written: Callable[..., Path]
) -> None:
    frames = molecules(N)
    frames[3].info["cheap_energy"] -= 0.25
    written(frames)
    (said,) = run(interrupted)
    assert said.endswith(f"is begun anew, for {interrupted} has changed since")
    assert (
        Dataset(tmp_path / "out" / "mine").energies("cheap", [3])[0]
        == (frames[3].info["cheap_energy"])
    )


def test_other_sources_begin_anew(
    interrupted: Path, run: Callable[..., list[str]], written: Callable[..., Path]
) -> None:
    (said,) = run(interrupted, written(molecules(30), "more.xyz"))
    assert said.endswith("for it was of other sources")


def test_restart_reads_all_anew(
    interrupted: Path, run: Callable[..., list[str]], tmp_path: Path
) -> None:
    assert run(interrupted, restart=True) == []
    assert Dataset(tmp_path / "out" / "mine").n_structures == N


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "journal.json").write_text('{"job": {}, "came"'),
        lambda folder: (folder / "journal.json").write_text("[]"),
        lambda folder: (folder / "spool" / "positions.bin").write_bytes(b"1234"),
        lambda folder: (folder / "spool" / "molecules.jsonl").unlink(),
        lambda folder: shutil.rmtree(folder / "spool"),
    ],
)
def test_damaged_remains_begin_anew(
    spoil: Callable[[Path], object],
    interrupted: Path,
    run: Callable[..., list[str]],
    tmp_path: Path,
) -> None:
    spoil(tmp_path / "out" / FOLDER)
    (said,) = run(interrupted)
    assert said.endswith("for what it left is damaged")
    assert Dataset(tmp_path / "out" / "mine").n_structures == N


def test_a_refused_import_goes_on_with_other_options(
    interrupted: Path, run: Callable[..., list[str]], tmp_path: Path
) -> None:
    with pytest.raises(DatasetError, match=r"take 1000.*300 structures that were read are kept"):
        run(interrupted, subsets={"t": 1000})
    assert run(interrupted, subsets={"t": 100}) == [
        f"{tmp_path}/out/mine: an interrupted import goes on after 300 structures"
    ]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


def test_several_sources_and_faults_go_on(
    run: Callable[..., list[str]],
    written: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Faults, names of molecules and subsets come before and after the interruption."""
    frames = molecules(N)
    for k, atoms in enumerate(frames):
        atoms.info["molecule"] = f"größe {k % 7}\u2028"
        atoms.info["part"] = ("train", "validation", "test")[k % 3]
        if k % 50 == 9:
            atoms.positions[1] = atoms.positions[0]
        if k % 2:
            atoms.set_cell(np.eye(3) * (9 + k % 3))
            atoms.pbc = True
    one, two = written(frames[:200], "one.xyz"), written(frames[150:], "two.xyz")
    options = {"drop_bad": True, "split_key": "part"}
    run(one, two, place="other", **options)
    monkeypatch.setattr(reading, "EVERY_S", OFTEN_S)
    for stop in (1, 2, 1):  # after the first source, within the second and after it
        with pytest.raises(KeyboardInterrupt):
            run(one, two, progress=stop_at(stop), **options)
    (said,) = run(one, two, **options)
    assert said.endswith("structures")
    assert "goes on after" in said
    mine, other = (of_dataset(tmp_path / "out" / place) for place in ("mine", "other"))
    assert mine.pop("import.json") == other.pop("import.json").replace(b"out/other", b"out/mine")
    assert mine == other


def test_two_imports_to_one_place_are_refused(
    interrupted: Path, run: Callable[..., list[str]], tmp_path: Path
) -> None:
    kept = structures_kept(tmp_path / "out" / "mine")
    with (tmp_path / "out" / FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DatasetError, match="out/mine: another import to this place") as error:
            run(interrupted, restart=True)
        assert "\n" not in str(error.value)
    assert structures_kept(tmp_path / "out" / "mine") == kept


def record(number: int, atoms: int, molecule: str, energy: float, *, periodic: bool) -> Record:
    rng = np.random.default_rng(number)
    return Record(
        number=number,
        numbers=rng.integers(1, 9, size=atoms),
        positions=rng.normal(size=(atoms, 3)),
        labels={"dft": Label(energy=energy, forces=rng.normal(size=(atoms, 3)))}
        if energy > 0
        else {},
        molecule=molecule,
        box=Box(rng.normal(size=(3, 3)), np.array([True, False, True])) if periodic else None,
    )


RECORDS = st.lists(
    st.tuples(
        st.integers(1, 5), st.text(max_size=3), st.floats(-1, 1, allow_nan=False), st.booleans()
    ),
    max_size=12,
)


@settings(deadline=None, max_examples=25)
@given(drawn=RECORDS, data=st.data())
def test_a_spool_that_is_cut_to_what_was_saved_ends_as_a_whole_one(
    drawn: list[tuple[int, str, float, bool]],
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    records = [record(k, n, name, e, periodic=p) for k, (n, name, e, p) in enumerate(drawn)]
    saved = data.draw(st.integers(0, len(records)))
    lost = data.draw(st.integers(saved, len(records)))
    methods = [parse_method("dft:energy=e,forces=f", "eV")]
    folder = tmp_path_factory.mktemp("spool")
    (folder / "whole").mkdir()
    (folder / "cut").mkdir()
    with Spool(folder / "whole", methods) as whole:
        for item in records:
            whole.append(item, 0)
    with Spool(folder / "cut", methods) as killed:
        for item in records[:saved]:
            killed.append(item, 0)
        state = killed.sync()
        for item in records[saved:lost]:
            killed.append(item, 0)
    for file in (folder / "cut").iterdir():
        with file.open("ab") as out:
            out.write(data.draw(st.binary(max_size=5)))
    with Spool(folder / "cut", methods, state) as resumed:
        for item in records[saved:]:
            resumed.append(item, 0)
    assert of_dataset(folder / "cut") == of_dataset(folder / "whole")
    assert resumed.molecules == whole.molecules
    assert (resumed.n_structures, resumed.n_periodic) == (whole.n_structures, whole.n_periodic)

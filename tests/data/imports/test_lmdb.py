"""An LMDB with a table of labels: every encoding, units, index lists, and hostile bytes."""

import gzip
import io
import json
import pickle
import shutil
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lmdb
import msgpack
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ase import Atoms
from ase.io import jsonio
from safetensors.numpy import save as safetensors

from mfscale.data import Dataset, DatasetError
from tests.data.imports.conftest import BOHR_A, HARTREE_EV, Import, molecules
from tests.data.imports.test_formats import same

Encode = Callable[[dict[str, Any]], bytes]


def npz(record: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **{k: np.asarray(v) for k, v in record.items()})
    return file.getvalue()


def with_numpy(value: Any) -> Any:  # noqa: ANN401 - what msgpack-numpy encodes
    if isinstance(value, np.ndarray):
        array = {b"nd": True, b"type": value.dtype.str, b"kind": b"", b"shape": value.shape}
        return array | {b"data": value.tobytes()}
    return value


def atoms_json(record: dict[str, Any]) -> bytes:
    atoms = Atoms(record["atomic_numbers"], record["positions"])
    atoms.info = {"energy": record["energy"]}
    if "forces" in record:
        atoms.arrays["forces"] = record["forces"]
    return jsonio.encode(atoms).encode()


def plain(record: dict[str, Any]) -> dict[str, Any]:
    return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in record.items()}


ENCODINGS: dict[str, Encode] = {
    "json": lambda record: json.dumps(plain(record)).encode(),
    "orjson": lambda record: orjson.dumps(record, option=orjson.OPT_SERIALIZE_NUMPY),
    "ase json": atoms_json,
    "zlib json": lambda r: zlib.compress(orjson.dumps(r, option=orjson.OPT_SERIALIZE_NUMPY)),
    "gzip json": lambda record: gzip.compress(json.dumps(plain(record)).encode()),
    "msgpack": lambda record: msgpack.packb(plain(record)),
    "msgpack numpy": lambda record: msgpack.packb(record, default=with_numpy),
    "npz": npz,
    "safetensors": lambda r: safetensors({k: np.atleast_1d(v) for k, v in r.items()}),
}

KEYS: dict[str, Callable[[int], bytes]] = {
    "digits": lambda idx: str(idx).encode(),
    "padded": lambda idx: f"{idx:08d}".encode(),
    "named": lambda idx: f"structure_{idx}".encode(),
    "little": lambda idx: idx.to_bytes(8, "little"),
    "big": lambda idx: idx.to_bytes(4, "big"),
}


def release(
    folder: Path,
    *,
    encode: Encode = ENCODINGS["json"],
    key: Callable[[int], bytes] = KEYS["digits"],
    columns: Mapping[str, Any] | None = None,
    spoil: Callable[[int, dict[str, Any]], None] = lambda _idx, _record: None,
) -> list[Atoms]:
    """Write a release laid out as the paper's: labels of DFT (Ha, Ha/Bohr) and CC (kcal/mol)."""
    folder.mkdir(parents=True)
    frames = molecules(120)
    rows: list[dict[str, Any]] = []
    with lmdb.open(str(folder / "data.lmdb"), subdir=False, map_size=1 << 26) as environment:
        for method in ("dft", "cc"):
            with environment.begin(write=True) as transaction:
                for k, atoms in enumerate(frames):
                    energy = atoms.info.get("cheap_energy" if method == "dft" else "cc_energy")
                    if energy is None:
                        continue
                    idx, dft = len(rows), method == "dft"
                    unit = HARTREE_EV if dft else 0.0433641043
                    record = {
                        "atomic_numbers": atoms.numbers,
                        "positions": atoms.positions,
                        "energy": energy / unit,
                    }
                    if dft:
                        forces = atoms.arrays["cheap_forces"] / HARTREE_EV * BOHR_A
                        record["forces"] = forces
                    spoil(idx, record)
                    transaction.put(key(idx), encode(record))
                    rows.append(
                        {
                            "formula": atoms.get_chemical_formula(),
                            "conformation_idx": k,
                            "method": method,
                            "n_atoms": len(atoms),
                            "energy": energy / unit,
                            "forces_present": dft,
                            "energy_unit": "Hartree" if dft else "kcal/mol",
                            "forces_unit": "Ha/bohr" if dft else None,
                            "idx": idx,
                        }
                    )
    table = pa.Table.from_pylist([row | (columns or {}) for row in rows])
    pq.write_table(table, folder / "metadata.parquet")
    (folder / "schema.json").write_text(json.dumps({"cell": "none", "atoms": "plain"}))
    return frames


def as_written(dataset: Dataset, frames: list[Atoms]) -> None:
    """Each frame is found, with the energies in eV and forces in eV/Å that it had."""
    assert dataset.n_structures == len(frames)
    for k, atoms in enumerate(frames):
        assert np.allclose(dataset.structure(k).positions, atoms.positions, atol=1e-12)
        assert np.isclose(dataset.energies("dft", [k])[0], atoms.info["cheap_energy"], rtol=1e-12)
        cc = dataset.energies("cc", [k])[0]
        assert np.isclose(cc, atoms.info.get("cc_energy", np.nan), rtol=1e-12, equal_nan=True)
        assert np.allclose(dataset.forces("dft", [k]), atoms.arrays["cheap_forces"], atol=1e-6)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_usual_encoding_is_read(encoding: str, imported: Import, tmp_path: Path) -> None:
    frames = release(tmp_path / "paper", encode=ENCODINGS[encoding])
    before = {f.name: f.read_bytes() for f in (tmp_path / "paper").iterdir()}
    dataset, report = imported(tmp_path / "paper", methods=())
    as_written(dataset, frames)
    assert {f.name: f.read_bytes() for f in (tmp_path / "paper").iterdir()} == before
    assert (report.read, report.kept, report.matched, report.duplicates) == (180, 120, 60, 0)
    assert {name: m.cost for name, m in dataset.methods.items()} == {"dft": 100, "cc": 1000}
    assert [m.has_forces for m in dataset.methods.values()] == [True, False]
    assert dataset.splits == ("random",)


@pytest.mark.parametrize("key", KEYS)
def test_keys_are_found_by_idx(key: str, imported: Import, tmp_path: Path) -> None:
    frames = release(tmp_path / "paper", key=KEYS[key])
    as_written(imported(tmp_path / "paper", methods=())[0], frames)


def test_the_methods_of_the_table_may_be_named(imported: Import, tmp_path: Path) -> None:
    frames = release(tmp_path / "paper")
    methods = ("wb97x:energy=dft,forces=dft,cost=90",)
    dataset, report = imported(tmp_path / "paper" / "data.lmdb", methods=methods)
    assert (report.read, list(dataset.methods)) == (120, ["wb97x"])
    assert np.isclose(dataset.energies("wb97x", [0])[0], frames[0].info["cheap_energy"])
    shutil.rmtree(dataset.path)
    with pytest.raises(DatasetError, match="methods there are dft, cc"):
        imported(tmp_path / "paper", methods=("xtb:energy=GFN2",))


LISTS = {
    # Of 60 structures with both labels: (DFT rows 0, 2, …), and CC rows 120 to 179.
    "one test": {
        "a": {"train": range(14), "validation": range(14, 16), "test": range(46, 60)},
        "b": {"train": range(16, 28), "validation": range(28, 30), "test": range(46, 60)},
        "c": {"train": range(30, 40), "validation": range(40, 46), "test": range(46, 60)},
    },
    "own tests": {
        "a": {"train": range(12), "validation": range(12, 14), "test": range(14, 16)},
        "b": {"train": range(16, 26), "validation": range(26, 28), "test": range(28, 30)},
        "c": {"train": range(30, 40), "validation": range(40, 42), "test": range(42, 46)},
        "d": {"train": range(46, 50), "validation": range(50, 55), "test": range(55, 60)},
    },
}


@pytest.mark.parametrize("kind", LISTS)
def test_index_lists_are_kept_as_a_split(kind: str, imported: Import, tmp_path: Path) -> None:
    release(tmp_path / "paper")
    for letter, parts in LISTS[kind].items():
        for method, row_of in (("dft", lambda k: 2 * k), ("cc", lambda k: 120 + k)):
            lists = {part: [row_of(k) for k in places] for part, places in parts.items()}
            file = tmp_path / "paper" / f"{method}_train_{letter}.json"
            file.write_text(json.dumps(lists))
    dataset, report = imported(tmp_path / "paper", methods=())
    assert dataset.splits == ("random", "source")
    codes = dataset.subset_codes("source")
    for code, letter in enumerate("abc"):
        parts = LISTS[kind][letter]
        named = [2 * k for part in ("train", "validation") for k in parts[part]]
        assert np.flatnonzero(codes == code).tolist() == named
        n = len(parts["train"]), len(parts["validation"])
        assert dataset.n_labels("cc", letter, split="source") == n
        drawn = dataset.labelled_set(
            "dft", letter, n[0], forces=True, split="source", n_validation=n[1]
        )
        assert sorted(drawn.validation) == [2 * k for k in parts["validation"]]
        assert sorted(drawn.train) == [2 * k for k in parts["train"]]
    assert dataset.test_structures(split="source").tolist() == [2 * k for k in range(46, 60)]
    assert (codes[1::2] == 255).all()
    t = "d" if kind == "own tests" else "test"
    assert f"a, b, c and t are the index lists' ({t} is t)" in report.to_text()


def test_index_lists_that_overlap_or_name_nothing(imported: Import, tmp_path: Path) -> None:
    release(tmp_path / "paper")
    file = tmp_path / "paper" / "dft_train_a.json"
    file.write_text(json.dumps({"train": list(range(20)), "val": [], "test": [18, 19, 20]}))
    dataset, report = imported(tmp_path / "paper", methods=())
    assert dataset.test_structures(split="source").tolist() == [20]
    assert "2 labels stand in two lists, and are in none" in report.to_text()
    shutil.rmtree(dataset.path)
    for content, said in (
        ({"train": [0, 500], "test": [3]}, "names 1 indices .* dft rows lack .first: 500."),
        ({"train": [0, "os"], "test": [3]}, "train is no list of whole numbers"),
        ({"train": [10**30], "test": [3]}, "no index"),
        ([1, 2], "holds no lists"),
        ({"test": [3]}, "no list named train"),
    ):
        file.write_text(json.dumps(content))
        with pytest.raises(DatasetError, match=said):
            imported(tmp_path / "paper", methods=())


class Hostile:
    """Would make a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


HOSTILE: dict[str, tuple[Callable[[Any], bytes], str]] = {
    "pickle": (pickle.dumps, "is a Python pickle.*it is not"),
    "old pickle": (lambda h: pickle.dumps({"x": h}, protocol=0), "is a Python pickle"),
    "zlib pickle": (lambda h: zlib.compress(pickle.dumps(h)), "is a Python pickle"),
    "npz of objects": (
        lambda h: npz({"positions": np.array([h], dtype=object), "z": [1]}),
        "it is damaged",
    ),
    "msgpack of objects": (
        lambda h: msgpack.packb(
            {"z": [1], "pos": {b"nd": True, b"type": "|O", b"shape": [1], b"data": pickle.dumps(h)}}
        ),
        "it is damaged",
    ),
    "bomb": (lambda _h: zlib.compress(b" " * (1 << 27)), "unpacks to more than 64 MiB"),
    "deep json": (lambda _h: b"[" * 200_000, "it is damaged"),
    "zstandard": (lambda _h: b"\x28\xb5\x2f\xfd" + b"\0" * 40, "is compressed by zstandard; JSON"),
    "noise": (
        lambda _h: b"\x01\x02abcdefghijkl",
        r"no encoding known here .it begins 01 02 61 .*schema.json names cell",
    ),
    "list": (lambda _h: b"[1, 2]", "holds no named values"),
    "no positions": (lambda _h: b'{"z": [1], "who": 1}', "has no positions; its names are who, z"),
    "empty": (lambda _h: b"", "begins nowhere"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_records_that_are_no_plain_data_are_refused(
    kind: str, imported: Import, tmp_path: Path, nothing_left: Callable[[], bool]
) -> None:
    make, said = HOSTILE[kind]
    bytes_ = make(Hostile(tmp_path / "touched"))
    release(tmp_path / "paper", encode=lambda _record: bytes_)
    with pytest.raises(DatasetError, match=said) as error:
        imported(tmp_path / "paper", methods=())
    assert "\n" not in str(error.value)
    assert nothing_left()
    assert not (tmp_path / "touched").exists()


def longer(record: dict[str, Any]) -> None:
    record["atomic_numbers"] = np.append(record["atomic_numbers"], 1)
    record["positions"] = np.vstack([record["positions"], [9, 9, 9]])


SPOILT: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "energy": (lambda r: r.update(energy=r["energy"] * HARTREE_EV), "has another energy"),
    "atoms": (longer, "has another number of atoms than the table says"),
    "elements": (lambda r: r["atomic_numbers"].__setitem__(0, 16), "other atoms than its formula"),
    "forces": (lambda r: r.pop("forces"), "lacks the forces that the table promises"),
    "shape": (lambda r: r.update(forces=r["forces"][:1]), "forces do not match the atoms"),
    "nan": (lambda r: r.update(forces=r["forces"] * np.nan), "dft forces are not finite"),
}


@pytest.mark.parametrize("how", SPOILT)
def test_records_that_contradict_the_table_are_counted(
    how: str, imported: Import, tmp_path: Path, nothing_left: Callable[[], bool]
) -> None:
    spoil, said = SPOILT[how]

    def some(idx: int, record: dict[str, Any]) -> None:
        record["atomic_numbers"] = record["atomic_numbers"].copy()
        if idx in {5, 9}:
            spoil(record)

    release(tmp_path / "paper", spoil=some)
    with pytest.raises(DatasetError) as error:
        imported(tmp_path / "paper", methods=())
    assert str(error.value).startswith("2 of 180 structures cannot be imported: 2 × ")
    assert said in str(error.value)
    assert "paper, structure 6; paper, structure 10" in str(error.value)
    assert nothing_left()


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"energy_unit": "hogshead"}, "row 1: unknown unit of energy 'hogshead'; eV, Ha"),
        ({"forces_unit": "Ha"}, "unknown unit of force 'Ha'"),
        ({"method": "ωB97X"}, "method 'ωB97X' cannot be a name here"),
        ({"idx": 7000}, "its keys are not the table's idx .7000"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(
    columns: dict[str, Any], said: str, imported: Import, tmp_path: Path
) -> None:
    release(tmp_path / "paper", columns=columns)
    with pytest.raises(DatasetError, match=said):
        imported(tmp_path / "paper", methods=())


@pytest.mark.parametrize("name", ["metadata.parquet", "data.lmdb"])
def test_a_truncated_part_is_refused(
    name: str, imported: Import, tmp_path: Path, nothing_left: Callable[[], bool]
) -> None:
    release(tmp_path / "paper")
    file = tmp_path / "paper" / name
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(DatasetError, match=f"{name}: no readable"):
        imported(tmp_path / "paper", methods=())
    assert nothing_left()


def test_an_ase_lmdb_without_a_table(imported: Import, tmp_path: Path) -> None:
    frames = molecules()
    with (
        lmdb.open(str(tmp_path / "x.aselmdb"), subdir=False, map_size=1 << 26) as environment,
        environment.begin(write=True) as transaction,
    ):
        for k, atoms in enumerate(frames):
            pairs = {key: value for key, value in atoms.info.items() if key == "cc_energy"}
            row = {
                "numbers": atoms.numbers,
                "positions": atoms.positions,
                "cell": np.zeros((3, 3)),
                "pbc": [False] * 3,
                "energy": atoms.info["cheap_energy"],
                "forces": atoms.arrays["cheap_forces"],
                "key_value_pairs": pairs | {"part": "test" if k % 5 == 0 else "train"},
            }
            content = orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY)
            transaction.put(f"{k + 1:04d}".encode(), zlib.compress(content))
        transaction.put(b"nextid", zlib.compress(b"61"))
        transaction.put(b"deleted_ids", zlib.compress(b"[]"))
    methods = ("cheap:energy=energy,forces=forces", "cc:energy=cc_energy")
    dataset, report = imported(tmp_path / "x.aselmdb", methods=methods, split_key="part")
    same(dataset, frames)
    assert report.read == 60
    assert dataset.test_structures(split="source").tolist() == list(range(0, 60, 5))


def test_whatever_bytes_are_damaged_all_or_nothing_is_imported(
    imported: Import, tmp_path: Path, nothing_left: Callable[[], bool]
) -> None:
    release(tmp_path / "paper")
    file = tmp_path / "paper" / "data.lmdb"
    whole = np.frombuffer(file.read_bytes(), dtype=np.uint8)
    rng = np.random.default_rng(2)
    refused = []
    for trial in range(12):
        damaged = whole[: rng.integers(len(whole))].copy() if trial % 4 == 0 else whole.copy()
        first = int(trial % 2) * 8192 if len(damaged) > 20_000 else 0
        places = rng.integers(first, len(damaged), size=200)
        damaged[places] = rng.integers(0, 256, size=200)
        file.write_bytes(damaged.tobytes())
        try:
            dataset, _ = imported(tmp_path / "paper", methods=(), drop_bad=True)
        except DatasetError as error:
            refused.append(str(error))
            assert nothing_left()
        else:
            assert dataset.n_structures
            shutil.rmtree(dataset.path)
    assert refused
    assert not any("\n" in message for message in refused)

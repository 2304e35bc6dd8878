"""``mfscale data import``: the page's commands run, and stages train on what was imported."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import h5py
import lmdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
from ase.io import write

from mfscale.calculator import load
from mfscale.cli.study import expand_file
from mfscale.data import Dataset, open_dataset
from mfscale.results import Store
from tests.cli.conftest import Command, assert_one_message, run_one

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
]
(STUDY,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
HARTREE_EV = 27.211386245988

METHODS = (
    "--method=dft:energy=dft_energy,forces=dft_forces",
    "--method=cc:energy=cc_energy",
)


def embedded(n: int) -> list[Atoms]:
    """The first structures of the embedded dataset, with their DFT and CC labels."""
    chno3 = open_dataset("chno3")
    frames = []
    for k in range(n):
        atoms = chno3.structure(k)
        atoms.info = {
            "molecule": atoms.info["molecule"],
            "dft_energy": chno3.energies("dft", [k])[0],
        }
        if np.isfinite(cc := chno3.energies("cc", [k])[0]):
            atoms.info["cc_energy"] = cc
        atoms.arrays["dft_forces"] = chno3.forces("dft", [k]).astype(np.float64)
        frames.append(atoms)
    return frames


def write_sources(folder: Path) -> None:
    """Write the files that the page names."""
    frames = embedded(400)
    write_release(folder / "release", frames)
    for k, atoms in enumerate(frames):
        atoms.info["part"] = ("train", "train", "validation", "test")[k % 4]
    write(folder / "mine.xyz", frames, format="extxyz")
    plain = [Atoms(atoms.numbers, atoms.positions) for atoms in frames]
    with connect(folder / "labels.db") as database:
        for atoms, labelled in zip(plain, frames, strict=True):
            atoms.calc = SinglePointCalculator(
                atoms, energy=labelled.info["dft_energy"], forces=labelled.arrays["dft_forces"]
            )
            cc = {k: v for k, v in labelled.info.items() if k == "cc_energy"}
            database.write(atoms, key_value_pairs=cc)
    write(folder / "dft.xyz", plain, format="extxyz")
    dear = [atoms for atoms in frames if "cc_energy" in atoms.info]
    in_hartree = [
        Atoms(a.numbers, a.positions, info={"energy": a.info["cc_energy"] / HARTREE_EV})
        for a in dear
    ]
    write(folder / "cc.xyz", in_hartree, format="extxyz")
    with h5py.File(folder / "ani1x-release.h5", "w") as file:
        for formula in {atoms.get_chemical_formula() for atoms in frames}:
            rows = [atoms for atoms in frames if atoms.get_chemical_formula() == formula]
            rows = [atoms for atoms in rows if (atoms.numbers == rows[0].numbers).all()]
            group = file.create_group(formula)
            group["atomic_numbers"] = rows[0].numbers
            group["coordinates"] = [atoms.positions for atoms in rows]
            group["wb97x_dz.energy"] = [a.info["dft_energy"] / HARTREE_EV for a in rows]
            group["wb97x_dz.forces"] = [a.arrays["dft_forces"] / HARTREE_EV for a in rows]
            cc = [a.info.get("cc_energy", np.nan) / HARTREE_EV for a in rows]
            group["ccsd(t)_cbs.energy"] = cc


def write_release(folder: Path, frames: list[Atoms]) -> None:
    """An LMDB with a table of labels."""
    folder.mkdir()
    rows = []
    with (
        lmdb.open(str(folder / "structures.lmdb"), map_size=1 << 26) as environment,
        environment.begin(write=True) as transaction,
    ):
        for method, unit in (("dft", "eV"), ("cc", "Ha")):
            for atoms in frames:
                energy = atoms.info.get(f"{method}_energy")
                if energy is None:
                    continue
                record = {"numbers": atoms.numbers.tolist(), "pos": atoms.positions.tolist()}
                if method == "dft":
                    record["forces"] = atoms.arrays["dft_forces"].tolist()
                transaction.put(str(len(rows)).encode(), json.dumps(record).encode())
                rows.append(
                    {
                        "idx": len(rows),
                        "method": method,
                        "formula": atoms.get_chemical_formula(),
                        "n_atoms": len(atoms),
                        "energy": energy if unit == "eV" else energy / HARTREE_EV,
                        "energy_unit": unit,
                        "forces_unit": "eV/A",
                        "forces_present": method == "dft",
                    }
                )
    pq.write_table(pa.Table.from_pylist(rows), folder / "metadata.parquet")


@pytest.mark.slow
def test_the_commands_on_the_page_run(tmp_path: Path) -> None:
    write_sources(tmp_path)
    (tmp_path / "study.yaml").write_text(STUDY)
    for line in COMMANDS:
        program, *arguments = shlex.split(line)
        assert program == "mfscale"
        done = subprocess.run(
            [sys.executable, "-m", "mfscale", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (line, done.stderr)
    assert done.stdout.count("finished") == 3
    mine, matched = Dataset(tmp_path / "mine"), Dataset(tmp_path / "matched")
    assert mine.digest == matched.digest
    every = np.arange(mine.n_structures)
    exact = Dataset(tmp_path / "from-db").positions(every)  # extended XYZ keeps eight decimals
    assert np.allclose(mine.positions(every), exact, rtol=0, atol=1e-8)
    for method in ("dft", "cc"):
        energies = mine.energies(method, every)
        assert np.allclose(energies, matched.energies(method, every), rtol=1e-13, equal_nan=True)
    assert {"coverage.png", "coverage.pdf"} <= {path.name for path in tmp_path.iterdir()}
    released = Dataset(tmp_path / "from-release")
    assert np.allclose(released.energies("cc", every), mine.energies("cc", every), equal_nan=True)
    assert Dataset(tmp_path / "divided").n_labels("dft", "a", split="source") == (200, 100)
    assert mine.splits[-1] == "by-formula"
    joined = Dataset(tmp_path / "joined")
    assert joined.n_structures < 17_000
    assert len(joined.labelled_structures("xtb")) == joined.n_structures
    ani = Dataset(tmp_path / "ani1ccx")
    assert len(ani.labelled_structures("cc")) == len(ani.labelled_structures("dft"))
    assert ani.n_structures == len(ani.labelled_structures("cc"))


def test_stages_train_on_imported_labels_as_on_the_embedded_ones(
    mfscale_here: Command, tmp_path: Path
) -> None:
    frames = embedded(400)
    write(tmp_path / "mine.xyz", frames, format="extxyz")
    said = mfscale_here("data", "import", "mine.xyz", "--name", "mine", *METHODS)
    assert said.status == 0, said.err
    assert said.out.startswith("mine: 400 structures kept of 400 read")
    assert mfscale_here("data", "describe", "mine").status == 0
    Path("study.yaml").write_text(STUDY.replace("100", "10").replace("50", "10"))
    assert mfscale_here("plan", "study.yaml").status == 0
    store = Store(tmp_path / "store", create=True)
    for stage in expand_file(Path("study.yaml"), store.path).stages.values():
        run_one(stage, store)
    rows = store.table().select(["stage_id", "status"]).to_pylist()
    assert len(rows) == 3
    assert {row["status"] for row in rows} == {"finished"}


def test_a_stage_trains_on_crystals_and_predicts_them(
    mfscale_here: Command, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    frames = []
    for k in range(80):
        atoms = molecule("CO2", pbc=True, cell=[[4.0, 0.2, 0], [0, 4.1, 0], [0, 0.3, 5.6]])
        atoms = atoms.repeat((1 + k % 2, 1, 1))
        atoms.rattle(0.1, seed=k)
        atoms.info["dft_energy"] = -100.0 * len(atoms) + rng.normal()
        atoms.arrays["dft_forces"] = rng.normal(size=(len(atoms), 3))
        frames.append(atoms)
    write(tmp_path / "crystals.xyz", frames, format="extxyz")
    said = mfscale_here("data", "import", "crystals.xyz", "--name", "crystals", METHODS[0])
    assert said.status == 0, said.err
    head = "{dft: {subset: b, size: 20, validation: 2}}"
    settings = "training: {max_steps: 10, validate_every: 5}"
    Path("study.yaml").write_text(
        f"dataset: crystals\n{settings}\nstrategies:\n  direct:\n    - heads: {head}\n"
    )
    store = Store(tmp_path / "store", create=True)
    (stage,) = expand_file(Path("study.yaml"), store.path).stages.values()
    run_one(stage, store)
    (row,) = store.table().select(["stage_id", "status"]).to_pylist()
    assert row["status"] == "finished"
    said = mfscale_here("export", row["stage_id"], "--store", "store", "--out", "m.safetensors")
    assert said.status == 0, said.err
    dataset, calculator = Dataset(tmp_path / "crystals"), load("m.safetensors", head="dft")
    errors = store.errors(row["stage_id"]).to_pandas()
    assert len(errors) == 16
    for error in errors.itertuples():
        atoms = dataset.structure(error.structure)
        assert atoms.pbc.all()
        atoms.calc = calculator
        (label,) = dataset.energies("dft", [error.structure])
        predicted = label + error.energy_error_mev / 1e3
        assert atoms.get_potential_energy() == pytest.approx(predicted, abs=1e-4)


def test_a_bad_source_ends_in_one_message(mfscale_here: Command, tmp_path: Path) -> None:
    frames = embedded(30)
    frames[3].info["cc_energy"] = np.nan
    write(tmp_path / "mine.xyz", frames, format="extxyz")
    asked = ("data", "import", "mine.xyz", "--name", "mine")
    said = mfscale_here(*asked, *METHODS)
    assert_one_message(said, "1 of 30 structures", "mine.xyz, structure 4", "--drop-bad")
    assert_one_message(mfscale_here(*asked), "--method dft:energy=dft_energy,forces=dft_forces")
    assert_one_message(mfscale_here(*asked[:-1], "chno3", *METHODS), "embedded")
    assert_one_message(mfscale_here(*asked[:-1], "../x", *METHODS), "--name '../x'")
    Path("taken").mkdir()
    assert_one_message(mfscale_here(*asked, "--out", "taken", *METHODS), "taken: exists already")
    assert {path.name for path in tmp_path.iterdir()} == {"mine.xyz", "taken"}


def test_the_page_names_every_option(mfscale_here: Command) -> None:
    for command in ("import", "split", "merge", "describe"):
        shown = mfscale_here("data", command, "--help").out
        options = set(re.findall(r"--[a-z-]+", re.sub(r"\x1b\[[0-9;]*m", "", shown)))
        unsaid = {option for option in options if option not in PAGE}
        assert unsaid <= {"--help", "--description", "--licence"}

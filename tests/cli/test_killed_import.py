"""``mfscale data import`` killed or interrupted: the same command goes on to the same dataset."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ase.io import write

from mfscale.data import Dataset
from mfscale.data.imports import structures_kept
from tests.cli.conftest import Command, assert_one_message
from tests.cli.test_data_import import HARTREE_EV, METHODS, embedded, write_release

N = 300
PARTIAL = Path(".mine.import")
SOURCES = {
    "mine.xyz": ("mine.xyz", "--name", "mine", *METHODS),
    "mine.h5": ("mine.h5", "--name", "mine", "--seed", "3"),
    "release": ("release", "--name", "mine"),
}


@pytest.fixture
def asked(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, ...]:
    """A source is written; the arguments that import it."""
    frames = embedded(N)
    if request.param == "release":
        write_release(tmp_path / "release", frames)
    elif request.param == "mine.xyz":
        write(tmp_path / "mine.xyz", frames, format="extxyz")
    else:
        import h5py

        with h5py.File(tmp_path / "mine.h5", "w") as file:
            for k, atoms in enumerate(frames):
                group = file.create_group(f"{k:03d}")
                group["atomic_numbers"] = atoms.numbers
                group["coordinates"] = [atoms.positions]
                group["wb97x_dz.energy"] = [atoms.info["dft_energy"] / HARTREE_EV]
                group["wb97x_dz.forces"] = [atoms.arrays["dft_forces"] / HARTREE_EV]
                cc = atoms.info.get("cc_energy", np.nan)
                group["ccsd(t)_cbs.energy"] = [cc / HARTREE_EV]
    return SOURCES[request.param]


def start(
    folder: Path, *arguments: str, every_s: float = 0.0, before: str = "pass"
) -> subprocess.Popen[str]:
    """Import in a process of its own that saves so often.

    It takes SIGINT as at a terminal: the command line's end in this process left that ignored.
    """
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        f"from mfscale.data.imports import reading; reading.EVERY_S = {every_s}; "
        f"from mfscale.cli import main; {before}; main()"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, "data", "import", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(process: subprocess.Popen[str], folder: Path, structures: int) -> None:
    """Until so many structures are kept."""
    while structures_kept(folder / "mine") < structures:
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)


def assert_as_undisturbed(mfscale_here: Command, folder: Path, *arguments: str) -> None:
    """The dataset is that of one import, and nothing else is left."""
    assert mfscale_here("data", "import", *arguments, "--out", "other").status == 0
    mine, other = (
        {file.name: file.read_bytes() for file in (folder / place).iterdir()}
        for place in ("mine", "other")
    )
    reports = [json.loads(of.pop("import.json")) | {"path": ""} for of in (mine, other)]
    assert reports[0] == reports[1]
    assert mine == other
    assert Dataset(folder / "mine").digest == Dataset(folder / "other").digest
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize("asked", SOURCES, indirect=True)
def test_a_killed_import_ends_as_an_undisturbed_one(
    asked: tuple[str, ...], mfscale_here: Command, tmp_path: Path
) -> None:
    process = start(tmp_path, *asked)
    wait_for(process, tmp_path, 40)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    kept = structures_kept(tmp_path / "mine")
    assert 40 <= kept < N
    assert not (tmp_path / "mine").exists()
    said = mfscale_here("data", "describe", str(PARTIAL))
    assert_one_message(said, "not a dataset")
    said = mfscale_here("data", "import", *asked)
    assert said.status == 0, said.err
    assert said.err == f"mine: an interrupted import goes on after {kept} structures\n"
    assert_as_undisturbed(mfscale_here, tmp_path, *asked)


@pytest.mark.parametrize("asked", ["release"], indirect=True)
def test_ctrl_c_says_what_is_kept_and_a_second_import_is_refused(
    asked: tuple[str, ...], mfscale_here: Command, tmp_path: Path
) -> None:
    process = start(tmp_path, *asked)
    wait_for(process, tmp_path, 20)
    process.send_signal(signal.SIGSTOP)
    said = mfscale_here("data", "import", *asked)
    assert_one_message(said, "mine: another import to this place is under way", "--out")
    process.send_signal(signal.SIGCONT)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, err = process.communicate()
    assert (process.returncode, out) == (130, "")
    kept = structures_kept(tmp_path / "mine")
    assert kept >= 20
    assert err == (
        f"Interrupted: {kept} structures are read and kept, and the same command goes on.\n"
    )
    assert mfscale_here("data", "import", *asked, "--json").status == 0
    assert_as_undisturbed(mfscale_here, tmp_path, *asked)


@pytest.mark.parametrize("asked", ["mine.xyz"], indirect=True)
def test_a_source_that_has_changed_begins_anew(
    asked: tuple[str, ...], mfscale_here: Command, tmp_path: Path
) -> None:
    process = start(tmp_path, *asked)
    wait_for(process, tmp_path, 20)
    process.kill()
    process.wait()
    source = tmp_path / "mine.xyz"
    source.write_bytes(source.read_bytes() + b"\n")
    said = mfscale_here("data", "import", *asked)
    assert said.status == 0
    assert said.err == (
        f"mine: an interrupted import is begun anew, for {source} has changed since\n"
    )
    assert_as_undisturbed(mfscale_here, tmp_path, *asked)


@pytest.mark.parametrize("asked", ["mine.xyz"], indirect=True)
def test_a_full_disk_costs_nothing_that_was_read(
    asked: tuple[str, ...], mfscale_here: Command, tmp_path: Path
) -> None:
    small = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))"
    process = start(tmp_path, *asked, before=small)
    _, err = process.communicate()
    assert process.returncode == 2
    assert err.startswith("error: mine: the import failed (")
    assert err.endswith("); the same command goes on\n")
    kept = structures_kept(tmp_path / "mine")
    assert kept > 20
    said = mfscale_here("data", "import", *asked)
    assert said.err == f"mine: an interrupted import goes on after {kept} structures\n"
    assert_as_undisturbed(mfscale_here, tmp_path, *asked)


@pytest.mark.slow
@pytest.mark.parametrize("asked", ["mine.xyz"], indirect=True)
def test_an_import_that_is_killed_at_any_instant_ends_as_an_undisturbed_one(
    asked: tuple[str, ...], mfscale_here: Command, tmp_path: Path
) -> None:
    draw = random.Random(1)  # noqa: S311 - instants, not secrets
    for k in range(100):
        process = start(tmp_path, *asked, every_s=0.01)
        while not (tmp_path / PARTIAL).exists() and process.poll() is None:
            time.sleep(0.001)
        time.sleep(draw.uniform(0, 0.2 * k))
        process.kill()
        if process.wait() == 0 or (tmp_path / "mine").exists():
            break
    assert (tmp_path / "mine").exists()
    if (tmp_path / PARTIAL).exists():  # killed after the rename, while this was being deleted
        shutil.rmtree(tmp_path / PARTIAL)
    assert_as_undisturbed(mfscale_here, tmp_path, *asked)

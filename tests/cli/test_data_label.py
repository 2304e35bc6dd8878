"""``mfscale data label`` and ``sample``: the page's commands, kills, Ctrl-C, and bad input."""

import json
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ase.io import write

from mfscale.data import Dataset, open_dataset
from tests.cli.conftest import Command, assert_one_message

PAGE = (Path(__file__).parents[2] / "docs" / "labelling.md").read_text(encoding="utf-8")
OWN, RECIPE = PAGE.split("## The recipe")

SLOW = """
import time
from pathlib import Path
from ase.calculators.calculator import Calculator

class Slow(Calculator):
    implemented_properties = ["energy"]

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        with Path("calls").open("a") as file:
            file.write("x")
        time.sleep(0.1)
        self.results = {"energy": float(len(atoms))}
"""
ASKED = ("data", "label", "chno3", "--method", "slow:Slow", "--limit", "60", "--out", "out")


def start(folder: Path) -> subprocess.Popen[str]:
    """Begin to label, and wait for the first piece that has some labels."""
    command = [sys.executable, "-m", "mfscale", *ASKED, "--cpus", "1", "--json"]
    running = subprocess.Popen(
        command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    while len(list((folder / "out.ase.labels").glob("*.parquet"))) < 2:
        assert running.poll() is None, running.communicate()
        time.sleep(0.05)
    return running


def finish(folder: Path) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-m", "mfscale", *ASKED, "--cpus", "1", "--json"],
        cwd=folder,
        text=True,
        capture_output=True,
        check=True,
    )
    assert len(open_dataset(folder / "out").labelled_structures("ase")) == 60
    assert not (folder / "out.ase.labels").exists()
    report: dict[str, object] = json.loads(done.stdout)
    assert report["labelled"] == 60
    return report


def follow(text: str, folder: Path) -> None:
    """Run the commands that a text shows."""
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        for line in block.splitlines():
            program, *arguments = shlex.split(line)
            assert program == "mfscale"
            done = subprocess.run(
                [sys.executable, "-m", "mfscale", *arguments],
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, (line, done.stderr)


@pytest.mark.slow
def test_the_commands_on_the_page_run(tmp_path: Path) -> None:
    (tmp_path / "molecules.smi").write_text("C methane\n")
    frames = [open_dataset("chno3").structure(k) for k in range(20)]
    write(tmp_path / "rough.xyz", frames, format="extxyz")
    follow(OWN, tmp_path)
    mine = Dataset(tmp_path / "mine")
    assert [len(mine.labelled_structures(m)) for m in ("xtb", "dft", "cc")] == [60, 20, 10]


@pytest.mark.slow
def test_the_recipe_on_the_page_gives_the_embedded_labels(tmp_path: Path) -> None:
    follow(RECIPE, tmp_path)
    again = Dataset(tmp_path / "again")
    for method, within in (("xtb", 1e-5), ("dft", 1e-4), ("cc", 1e-5)):
        redone = again.labelled_structures(f"{method}-again")
        apart = again.energies(f"{method}-again", redone) - again.energies(method, redone)
        assert np.abs(apart).max() < within
    chno3, more = open_dataset("chno3"), Dataset(tmp_path / "still-more")
    for method, n in (("dft", 2), ("cc", 1)):
        grown = len(more.labelled_structures(method)) - len(chno3.labelled_structures(method))
        assert grown == n


@pytest.mark.slow
def test_a_killed_run_goes_on(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    running = start(tmp_path)
    running.kill()
    running.communicate()
    assert not (tmp_path / "out").exists()
    kept = finish(tmp_path)["before"]
    assert isinstance(kept, int)
    assert kept >= 2


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_that_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    running = start(tmp_path)
    running.send_signal(number)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 128 + number, err
    assert "labels so far are kept" in err
    assert "Traceback" not in err
    report = json.loads(out)
    assert report["path"] is None
    assert finish(tmp_path)["before"] == report["labelled"]


def test_a_bad_request_ends_in_one_message(mfscale_here: Command, tmp_path: Path) -> None:
    label, out = ("data", "label", "chno3"), ("--out", "out")
    for arguments, said in (
        ((*label, "--method", "gfn-2xtb", *out), "did you mean gfn2-xtb?"),
        ((*label, "--method", "wb97x/6-31h(d)", *out), "unknown basis"),
        ((*label, "--method", "nowhere:Found", *out), "module nowhere cannot be imported"),
        ((*label, "--method", "gfn2-xtb", "--as", "new"), "--out"),
        ((*label, "--method", "gfn2-xtb", "--options", "{", *out), "--options"),
        (("data", "label", "chn3", "--method", "gfn2-xtb", *out), "did you mean chno3?"),
        (("data", "label", "no.xyz", "--method", "gfn2-xtb", *out), "no such file"),
        (("data", "sample", "CX", "--name", "m", "--structures", "3"), "'CX' is no SMILES"),
        (("data", "sample", "O", "--name", "chno3", "--structures", "3"), "--name 'chno3'"),
        (
            ("data", "sample", "O", "--name", "m", "--structures", "3", "--amplitudes", "x"),
            "choose from ani1, thermal",
        ),
    ):
        assert_one_message(mfscale_here(*arguments), said)
    assert mfscale_here(*label, "--method", "gfn2-xtb", "--cost", "dear", *out).status == 2
    assert not list(tmp_path.iterdir())


def test_the_page_names_every_option(mfscale_here: Command) -> None:
    for command in ("label", "sample"):
        shown = mfscale_here("data", command, "--help").out
        options = set(re.findall(r"--[a-z-]+", re.sub(r"\x1b\[[0-9;]*m", "", shown)))
        assert {option for option in options if option not in PAGE} <= {"--help"}

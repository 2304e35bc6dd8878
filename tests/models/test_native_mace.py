"""MACE files: MACE's own calculator, in a process of its own, computes what we do."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms

from mfscale.data import keys
from mfscale.models import LADDER, ModelError
from mfscale.models.build import build
from mfscale.models.headed import Batch, energy_and_forces
from mfscale.models.native import Trained, write_native

MakeBatch = Callable[[Sequence[Atoms]], Batch]

ELEMENTS = ("H", "C", "N", "O")
SCALE_EV = {"dft": 1.1, "cc": 0.7}
OFFSETS_EV = {
    "dft": np.array([-16.0, -1036.0, -1488.0, -2044.0]),
    "cc": np.array([-16.1, -1036.2, -1488.3, -2044.4]),
}

THEIRS = """
import json, sys
import ase.io
from mace.calculators import MACECalculator

path, structure = sys.argv[1:]
results = {}
for head in ("dft", "cc"):
    atoms = ase.io.read(structure)
    atoms.calc = MACECalculator(model_paths=path, head=head, device="cpu", default_dtype="float64")
    results[head] = [float(atoms.get_potential_energy()), atoms.get_forces().tolist()]
print(json.dumps(results))
"""


def trained(dtype: torch.dtype) -> Trained:
    """A network of two heads as a stage leaves it, with readouts far from zero."""
    settings = LADDER["mace"]["tiny"].settings
    network = build(
        "mace",
        settings,
        elements=ELEMENTS,
        heads=["dft", "cc"],
        dtype=dtype,
        cutoff_a=5.0,
        seed=0,
    )
    network.backbone.set_mean_neighbours(6.0)
    generator = torch.Generator().manual_seed(1)
    for parameter in network.readouts.parameters():
        torch.nn.init.normal_(parameter, generator=generator)
    return Trained(
        network=network,
        settings=settings,
        elements=ELEMENTS,
        cutoff_a=5.0,
        mean_neighbours=6.0,
        energy_scale_ev=SCALE_EV,
        offsets_ev=OFFSETS_EV,
    )


# In float32 what is rounded is the network's output, some eV, not the total of −5,684 eV: the file
# is in float64 throughout.
@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 5e-6)])
def test_maces_own_calculator_computes_the_same_with_each_head(
    dtype: torch.dtype, tolerance: float, make_batch: MakeBatch, chiral: Atoms, tmp_path: Path
) -> None:
    ours = trained(dtype)
    path, structure = tmp_path / "model.model", tmp_path / "structure.json"
    write_native("mace", ours, path, "cc")
    assert list(tmp_path.iterdir()) == [path]
    chiral.write(structure)
    run = subprocess.run(
        [sys.executable, "-c", THEIRS, path, structure],
        check=True,
        capture_output=True,
        text=True,
    )
    theirs = json.loads(run.stdout.splitlines()[-1])

    batch = make_batch([chiral])
    for index, head in enumerate(("dft", "cc")):
        batch[keys.HEAD] = torch.tensor([index])
        energy, forces = energy_and_forces(ours.network, batch, create_graph=False)
        offset = sum(OFFSETS_EV[head][ELEMENTS.index(symbol)] for symbol in chiral.symbols)
        expected = offset + SCALE_EV[head] * energy.item()
        their_energy, their_forces = theirs[head]
        assert abs(energy.item()) > 0.01
        assert their_energy == pytest.approx(expected, rel=0, abs=tolerance)
        np.testing.assert_allclose(
            their_forces, SCALE_EV[head] * forces.numpy(), rtol=0, atol=tolerance
        )


def test_a_file_holds_nothing_that_the_release_of_e3nn_decides(tmp_path: Path) -> None:
    """So that it is read where mace-torch was installed with the e3nn that it pins."""
    path = tmp_path / "model.model"
    write_native("mace", trained(torch.float32), path, "cc")
    with zipfile.ZipFile(path) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("data.pkl"))
        pickled = archive.read(name)
    assert b"ScaleShiftMACE" in pickled
    assert b"__codegen__" not in pickled
    assert b"LinearSlices" not in pickled


def test_a_mace_file_must_be_called_one(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"\.model, not model\.pt"):
        write_native("mace", trained(torch.float32), tmp_path / "model.pt", "cc")
    assert not list(tmp_path.iterdir())

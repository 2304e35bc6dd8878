"""NequIP package files: NequIP's own tools, in a process of their own, compute what we do."""

import json
import shutil
import subprocess
import sys
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
OFFSETS_EV = np.array([-16.0, -1036.0, -1488.0, -2044.0])

THEIRS = """
import json, sys
import ase.io, torch
from nequip.ase import NequIPCalculator
from nequip.data import from_ase
from nequip.data.transforms import ChemicalSpeciesToAtomTypeMapper, NeighborListTransform
from nequip.model.saved_models import load_saved_model
from nequip.utils.global_state import set_global_state

package, structure = sys.argv[1:]
atoms = ase.io.read(structure)
set_global_state()
data = from_ase(atoms)
for transform in ChemicalSpeciesToAtomTypeMapper(list("HCNO")), NeighborListTransform(r_max=5.0):
    data = transform(data)
out = load_saved_model(package)(data)
atoms.calc = NequIPCalculator._from_saved_model(package)
print(json.dumps({
    "energy": [out["total_energy"].item(), atoms.get_potential_energy().item()],
    "forces": [out["forces"].tolist(), atoms.get_forces().tolist()],
}))
"""


def trained(architecture: str, dtype: torch.dtype) -> Trained:
    """A network of two heads as a stage leaves it, with readouts far from zero."""
    settings = LADDER[architecture]["tiny"].settings
    network = build(
        architecture,
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
        energy_scale_ev={"dft": 1.0, "cc": 0.7},
        offsets_ev={"dft": np.zeros(4), "cc": OFFSETS_EV},
    )


# In float32 what is rounded is the network's output, some eV, not the total of −5,684 eV: both add
# offsets in float64.
@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 5e-6)])
@pytest.mark.parametrize("architecture", ["nequip", "allegro"])
def test_nequips_own_tools_compute_the_same(
    architecture: str,
    dtype: torch.dtype,
    tolerance: float,
    make_batch: MakeBatch,
    chiral: Atoms,
    tmp_path: Path,
) -> None:
    ours = trained(architecture, dtype)
    package, structure = tmp_path / "model.nequip.zip", tmp_path / "structure.json"
    write_native(architecture, ours, package, "cc")
    assert list(tmp_path.iterdir()) == [package]
    chiral.write(structure)

    batch = make_batch([chiral])
    batch[keys.HEAD] = torch.tensor([1])
    energy, forces = energy_and_forces(ours.network, batch, create_graph=False)
    offset = sum(OFFSETS_EV[ELEMENTS.index(symbol)] for symbol in chiral.symbols)
    expected = offset + 0.7 * energy.item()

    run = subprocess.run(
        [sys.executable, "-c", THEIRS, package, structure],
        check=True,
        capture_output=True,
        text=True,
    )
    theirs = json.loads(run.stdout.splitlines()[-1])
    assert abs(energy.item()) > 0.01
    assert theirs["energy"] == pytest.approx([expected] * 2, rel=0, abs=tolerance)
    for of_theirs in theirs["forces"]:
        np.testing.assert_allclose(of_theirs, 0.7 * forces.numpy(), rtol=0, atol=tolerance)


def test_a_package_file_must_be_called_one(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"\.nequip\.zip, not model\.zip"):
        write_native("nequip", trained("nequip", torch.float32), tmp_path / "model.zip", "cc")


def test_only_a_head_of_the_model_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / "model.nequip.zip"
    with pytest.raises(ModelError, match="no head xtb to write; there are dft, cc"):
        write_native("nequip", trained("nequip", torch.float32), path, "xtb")


def test_a_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here that of the process that packages."""
    path = tmp_path / "model.nequip.zip"
    path.write_text("an earlier one")
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(ModelError, match="could not write"):
        write_native("allegro", trained("allegro", torch.float32), path, "cc")
    assert path.read_text() == "an earlier one"
    assert list(tmp_path.iterdir()) == [path]

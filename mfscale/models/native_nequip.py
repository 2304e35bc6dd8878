"""One head of a NequIP or Allegro model as a NequIP package file (``….nequip.zip``).

That file is NequIP's archival format: the package's own whole model with its source code, which its
ASE calculator and ``nequip-compile`` (for LAMMPS) read. Only ``nequip-package`` writes it, and only
from a checkpoint of a training run by NequIP; so such a checkpoint is made of our weights.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from ase import Atoms
from nequip.train import NequIPLightningModule
from nequip.utils.versions import get_current_code_versions
from torch import Tensor

from mfscale.models import allegro, nequip
from mfscale.models.errors import ModelError
from mfscale.models.ladder import NATIVE_SUFFIX
from mfscale.models.native import Trained
from mfscale.models.nequip import in_framework

_FAMILIES = {
    "nequip": ("nequip.model.NequIPGNNModel", nequip),
    "allegro": ("allegro.model.AllegroModel", allegro),
}
"""Architecture → the package's own whole model, and our file that takes it apart."""

_WHOLE = "model.sole_model.model.func"
"""Where the layers of a whole model are in a training run's state."""

_CHECKPOINT, _EXAMPLE, _PACKAGE = "model.ckpt", "example.xyz", "model.nequip.zip"


def write(architecture: str, trained: Trained, path: Path, head: str) -> None:
    """Write one head of `trained` to `path`, as a whole or not at all.

    Packaging happens in a process of its own: it sets up logging and leaves state behind.

    Parameters
    ----------
    architecture
        ``nequip`` or ``allegro``.
    trained
        With its energies in eV and lengths in Å, as those of the file are.
    path
        Must end in ``.nequip.zip``: NequIP tells the format by it.
    head
        Its energy scale and offsets become the model's scale and shifts.

    Raises
    ------
    ModelError
        If the name of the file or of the head is wrong, or ``nequip-package`` fails.
    OSError
        If the file cannot be written.
    """
    suffix = NATIVE_SUFFIX[architecture]
    if not path.name.endswith(suffix):
        raise ModelError(f"a NequIP package file is named ….nequip.zip, not {path.name}; rename it")
    if head not in trained.network.heads:
        raise ModelError(f"no head {head} to write; there are {', '.join(trained.network.heads)}")
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as name:
        folder = Path(name)
        torch.save(_checkpoint(architecture, trained, head), folder / _CHECKPOINT)
        _example(trained).write(folder / _EXAMPLE)
        packaging = subprocess.run(  # noqa: S603 - our own interpreter, and no shell
            [sys.executable, "-m", "nequip.scripts.package", "build", _CHECKPOINT, _PACKAGE],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if packaging.returncode:
            *_, reason = packaging.stderr.strip().splitlines() or ["it did not say why"]
            raise ModelError(f"nequip-package could not write {path}: {reason}")
        (folder / _PACKAGE).replace(path)


def _checkpoint(architecture: str, trained: Trained, head: str) -> dict[str, Any]:
    """What Lightning would save of a training run that ended in these weights."""
    target, family = _FAMILIES[architecture]
    dtype = next(trained.network.parameters()).dtype
    of_package = family.arguments(
        trained.settings, elements=trained.elements, dtype=dtype, cutoff_a=trained.cutoff_a, seed=0
    )
    offsets_ev = dict(zip(trained.elements, trained.offsets_ev[head].tolist(), strict=True))
    model = {
        "_target_": target,
        **of_package,
        "avg_num_neighbors": float(trained.mean_neighbours),
        "per_type_energy_scales": float(trained.energy_scale_ev[head]),
        "per_type_energy_shifts": offsets_ev,
    }
    about = {
        "versions": get_current_code_versions(verbose=False),
        "training_module": {"_target_": "nequip.train.NequIPLightningModule", "model": model},
        "data": _data(trained),
    }
    with in_framework(dtype):
        run = NequIPLightningModule(
            model=model, num_datasets={"train": 1, "val": 0, "test": 0}, info_dict=about
        )
    run.load_state_dict(run.state_dict() | _weights(trained, head, family.READOUT))
    return {
        "pytorch-lightning_version": lightning.__version__,
        "hyper_parameters": dict(run.hparams),
        "state_dict": run.state_dict(),
    }


def _weights(trained: Trained, head: str, readout: str) -> dict[str, Tensor]:
    """Weights of the backbone and of one readout by the names they have in the whole model.

    Backbones and readouts of ours hold the package's modules under one name, the first of a path.
    """
    layers = trained.network.backbone.state_dict()
    own = trained.network.readout(head).state_dict()
    inner = {name.partition(".")[2]: tensor for name, tensor in layers.items()} | {
        f"{readout}.{name.partition('.')[2]}": tensor for name, tensor in own.items()
    }
    return {f"{_WHOLE}.{name}": tensor for name, tensor in inner.items()}


def _data(trained: Trained) -> dict[str, Any]:
    """The data of the run: one structure, which a package carries for compilers to trace."""
    mapper = {
        "_target_": "nequip.data.transforms.ChemicalSpeciesToAtomTypeMapper",
        "model_type_names": list(trained.elements),
    }
    neighbours = {
        "_target_": "nequip.data.transforms.NeighborListTransform",
        "r_max": trained.cutoff_a,
    }
    return {
        "_target_": "nequip.data.datamodule.ASEDataModule",
        "seed": 0,
        "train_file_path": _EXAMPLE,
        "val_file_path": _EXAMPLE,
        "transforms": [mapper, neighbours],
    }


def _example(trained: Trained) -> Atoms:
    """Four atoms of every element on a grid of a third of the cutoff, in a box.

    Without a box there is no stress, on which ``nequip-compile`` tests what it has compiled.
    """
    n = len(trained.elements)
    sites = np.indices((n, 2, 2)).reshape(3, -1).T
    symbols = np.repeat(list(trained.elements), 4)
    return Atoms(symbols, sites * trained.cutoff_a / 3, cell=[n * trained.cutoff_a] * 3)

"""All heads of a MACE model as a MACE file (``….model``).

That file is the package's own whole model, pickled, which its ASE calculator and its export to
LAMMPS read. It can be read beside the release of e3nn that MACE pins as well as beside ours.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mfscale.models.errors import ModelError
from mfscale.models.ladder import NATIVE_SUFFIX
from mfscale.models.mace import in_package, of_package
from mfscale.models.native import Trained

_OF_RELEASE = ("__codegen__", "weight_index_slices")
"""What e3nn's modules hold that its releases pickle differently: which parts are generated code,
which are then pickled like any others, and a list that nothing reads."""


def write(
    architecture: str,
    trained: Trained,
    path: Path,
    head: str,  # noqa: ARG001 - the file holds all heads
) -> None:
    """Write all heads of `trained` to `path`, as a whole or not at all.

    In float64, whatever the network's type: MACE adds element energies in the model's own, and in
    float32 a total of −4,000 eV has lost its last digits, 0.2 meV.

    Parameters
    ----------
    architecture
        ``mace``.
    trained
        With its energies in eV and lengths in Å, as those of the file are.
    path
        Must end in ``.model``.
    head
        Not used.

    Raises
    ------
    ModelError
        If the name of the file is wrong.
    OSError
        If the file cannot be written.
    """
    suffix = NATIVE_SUFFIX[architecture]
    if not path.name.endswith(suffix):
        raise ModelError(f"a MACE file is named …{suffix}, not {path.name}; rename it")
    model = whole(trained)
    for module in model.modules():
        for name in _OF_RELEASE:
            vars(module).pop(name, None)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as folder:
        beside = Path(folder) / path.name
        torch.save(model, beside)
        beside.replace(path)


def whole(trained: Trained) -> nn.Module:
    """Build the package's own model, in float64, with the weights and scales of all heads."""
    heads = trained.network.heads
    with in_package(torch.float64):
        model: nn.Module = of_package(
            trained.settings,
            elements=trained.elements,
            cutoff_a=trained.cutoff_a,
            heads=list(heads),
            avg_num_neighbors=float(trained.mean_neighbours),
            atomic_energies=np.stack([trained.offsets_ev[head] for head in heads]),
            atomic_inter_scale=[float(trained.energy_scale_ev[head]) for head in heads],
            atomic_inter_shift=[0.0] * len(heads),
        )
    readouts = _joint([trained.network.readout(head).state_dict() for head in heads])
    weights = trained.network.backbone.state_dict() | readouts
    model.load_state_dict(model.state_dict() | weights)
    return model


def _joint(own: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Weights of MACE's readouts for all heads together, from those of each head's own.

    MACE has one map from a layer's features to the energies of all heads, or to the hidden units
    of all heads, of which it then keeps an atom's own. From hidden units to energies, weights that
    lead from one head to another are never used, and are zero here; and e3nn divides by √(inputs),
    of which there are as many times more as there are heads.
    """
    joint = {}
    for name in own[0]:
        each = [weights[name].double() for weights in own]
        if name.endswith("linear_1.weight"):
            units = len(own[0][name.replace("linear_1", "linear_2")])
            weight = torch.cat([one.view(-1, units) for one in each], dim=1)
        elif name.endswith("linear_2.weight"):
            to_own_head = torch.eye(len(own)).repeat_interleave(len(each[0]), dim=0)
            weight = len(own) ** 0.5 * torch.cat(each).unsqueeze(1) * to_own_head
        else:
            weight = torch.stack(each, dim=1)
        joint[name.replace("layers", "readouts", 1)] = weight.flatten()
    return joint

"""The named sizes of each architecture, as plain data: no network is built to list them."""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from mfscale.models.errors import ModelError

Setting = bool | int | float | str
Kernels = Literal["e3nn", "cuequivariance"]
"""What computes the products of tensors that all architectures consist of."""


@dataclass(frozen=True)
class Speed:
    """Training speed of one core of a 2026 x86 server, structures per second, eager, batch 32.

    A guide to how long a study takes before it has measured anything of its own; measured by
    ``benchmarks/model_speed.py``.
    """

    energies: float
    forces: float


@dataclass(frozen=True)
class Memory:
    """What a training step takes, kB an atom and kB an edge, eager and in single precision.

    Gradients, weights and moments come beside it. Measured by ``benchmarks/model_memory.py``.
    """

    energies_per_atom: float
    energies_per_edge: float
    forces_per_atom: float
    forces_per_edge: float


@dataclass(frozen=True)
class Size:
    """What a size's name stands for.

    Attributes
    ----------
    settings
        Hyperparameters of the network, by the names its own package uses.
    n_parameters
        Trainable parameters with one head and four elements (H, C, N, O).
    n_blocks
        Interaction blocks, the first of which includes the embeddings.
    largest_rank
        Of a low-rank correction with fewer parameters than the linear map that it corrects,
        whichever of the backbone's allows most; 0 if it has none.
    structures_per_second
        On molecules of seven atoms, trained on energies alone or on forces too.
    memory
        Of a training step, on energies alone or on forces too.
    """

    settings: dict[str, Setting]
    n_parameters: int
    n_blocks: int
    largest_rank: int
    structures_per_second: Speed
    memory: Memory


def _nequip(
    layers: int,
    l_max: int,
    features: int,
    radial_width: int,
    rank: int,
    n: int,
    speed: Speed,
    memory: Memory,
) -> Size:
    settings: dict[str, Setting] = {
        "num_layers": layers,
        "l_max": l_max,
        "num_features": features,
        "radial_mlp_depth": 1,
        "radial_mlp_width": radial_width,
        "parity": False,
    }
    return Size(settings, n, layers, rank, speed, memory)


def _allegro(
    layers: int,
    l_max: int,
    scalars: int,
    tensors: int,
    mlp: tuple[int, int],
    rank: int,
    n: int,
    speed: Speed,
    memory: Memory,
) -> Size:
    depth, width = mlp
    settings: dict[str, Setting] = {
        "num_layers": layers,
        "l_max": l_max,
        "parity": True,
        "num_scalar_features": scalars,
        "num_tensor_features": tensors,
        "num_bessels": 8,
        "bessel_trainable": False,
        "polynomial_cutoff_p": 6,
        "scalar_embed_mlp_hidden_layers_depth": 1,
        "scalar_embed_mlp_hidden_layers_width": width,
        "allegro_mlp_hidden_layers_depth": depth,
        "allegro_mlp_hidden_layers_width": width,
        "readout_mlp_hidden_layers_depth": 1,
        "readout_mlp_hidden_layers_width": scalars,
        "readout_mlp_nonlinearity": "silu",
    }
    return Size(settings, n, layers, rank, speed, memory)


def _mace(
    hidden: str, radial_mlp: tuple[int, int], rank: int, n: int, speed: Speed, memory: Memory
) -> Size:
    depth, width = radial_mlp
    layers = 2
    settings: dict[str, Setting] = {
        "num_interactions": layers,
        "hidden_irreps": hidden,
        "max_ell": 2,
        "correlation": 3,
        "interaction_cls": "RealAgnosticResidualInteractionBlock",
        "interaction_cls_first": "RealAgnosticResidualInteractionBlock",
        "num_bessel": 8,
        "num_polynomial_cutoff": 5,
        "radial_MLP_depth": depth,
        "radial_MLP_width": width,
        "MLP_irreps": "16x0e",
    }
    return Size(settings, n, layers, rank, speed, memory)


LADDER: dict[str, dict[str, Size]] = {
    "nequip": {
        "tiny": _nequip(2, 1, 16, 32, 15, 8_784, Speed(2192, 900), Memory(2.65, 1.81, 6.21, 4.8)),
        "small": _nequip(
            3, 1, 16, 64, 31, 30_288, Speed(1170, 511), Memory(6.02, 3.49, 13.1, 10.7)
        ),
        "medium": _nequip(
            3, 1, 32, 64, 42, 165_536, Speed(780, 366), Memory(22.4, 4.81, 39.8, 13.8)
        ),
        "large": _nequip(4, 2, 32, 64, 54, 473_248, Speed(216, 66), Memory(47.1, 16.6, 101, 53.4)),
        "xlarge": _nequip(
            4, 2, 64, 128, 108, 3_330_368, Speed(70, 26), Memory(171, 28.6, 355, 104)
        ),
    },
    "allegro": {
        "tiny": _allegro(
            2, 1, 16, 8, (1, 64), 24, 11_008, Speed(1331, 631), Memory(0.01, 6.4, 0.33, 14.2)
        ),
        "small": _allegro(
            2, 1, 32, 32, (1, 64), 38, 31_328, Speed(661, 259), Memory(0.07, 23.2, 1.14, 38)
        ),
        "medium": _allegro(
            2, 1, 64, 32, (2, 128), 71, 132_096, Speed(495, 165), Memory(0.05, 24.4, 2.01, 54.1)
        ),
        "large": _allegro(
            2, 2, 128, 32, (2, 256), 135, 493_632, Speed(54, 26), Memory(0.95, 216, 8, 276)
        ),
        "xlarge": _allegro(
            2, 2, 256, 32, (2, 768), 383, 2_993_856, Speed(33, 19), Memory(0.88, 222, 25.9, 360)
        ),
    },
    "mace": {
        "tiny": _mace("16x0e", (1, 16), 11, 8_672, Speed(1164, 543), Memory(33, 0.9, 45.7, 4.55)),
        "small": _mace("32x0e", (2, 32), 23, 31_664, Speed(575, 219), Memory(65.7, 2.23, 90.5, 10)),
        "medium": _mace(
            "64x0e+64x1o", (2, 64), 55, 164_176, Speed(156, 78), Memory(249, 7.82, 443, 29.9)
        ),
        "large": _mace(
            "128x0e+128x1o", (3, 64), 63, 523_920, Speed(84, 36), Memory(491, 14.7, 875, 58.2)
        ),
        "xlarge": _mace(
            "352x0e+352x1o", (3, 64), 175, 3_302_640, Speed(23, 11), Memory(1276, 39, 2331, 156)
        ),
    },
}


INSTALL = {
    "nequip": (["nequip"], "pip install nequip"),
    "allegro": (["allegro"], "pip install nequip-allegro"),
    "mace": (["mace", "torch_ema"], "pip install torch-ema && pip install --no-deps mace-torch"),
}
"""Architecture → the modules it needs, and what brings them along."""

NATIVE_SUFFIX = {"nequip": ".nequip.zip", "allegro": ".nequip.zip", "mace": ".model"}
"""Architecture → how names of files in its own package's format end."""

HOLDS_ONE_HEAD = {"nequip", "allegro"}
"""Architectures whose own format knows a single head."""


def check_installed(architecture: str) -> None:
    """Raise `ModelError`, saying what to type, if an architecture's package is missing."""
    if command := how_to_install(architecture):
        raise ModelError(f"{architecture} is not installed here; type: {command}")


def check_kernels(kernels: Kernels) -> None:
    """Raise `ModelError`, saying what to type, if what computes products is missing."""
    if kernels == "cuequivariance" and not find_spec("cuequivariance_torch"):
        raise ModelError(
            "cuEquivariance is not installed here; type: pip install 'mfscale[cuequivariance]'"
        )


def how_to_install(architecture: str) -> str | None:
    """What to type for an architecture that is not installed here; None if it is."""
    modules, command = INSTALL[architecture]
    return None if all(map(find_spec, modules)) else command

"""The named sizes of each architecture, as plain data: no network is built to list them."""

from dataclasses import dataclass
from importlib.util import find_spec

from mfscale.models.errors import ModelError

Setting = bool | int | float | str


@dataclass(frozen=True)
class Speed:
    """Training speed of one core of a 2026 x86 server, structures per second, eager, batch 32.

    A guide to how long a study takes before it has measured anything of its own; measured by
    ``benchmarks/model_speed.py``.
    """

    energies: float
    forces: float


@dataclass(frozen=True)
class Size:
    """What a size's name stands for.

    Attributes
    ----------
    settings
        Hyperparameters of the network, by the names its own package uses.
    n_parameters
        Trainable parameters with one head and four elements (H, C, N, O).
    structures_per_second
        On molecules of seven atoms, trained on energies alone or on forces too.
    """

    settings: dict[str, Setting]
    n_parameters: int
    structures_per_second: Speed


def _nequip(
    layers: int, l_max: int, features: int, radial_width: int, n: int, speed: Speed
) -> Size:
    settings: dict[str, Setting] = {
        "num_layers": layers,
        "l_max": l_max,
        "num_features": features,
        "radial_mlp_depth": 1,
        "radial_mlp_width": radial_width,
        "parity": False,
    }
    return Size(settings, n, speed)


LADDER: dict[str, dict[str, Size]] = {
    "nequip": {
        "tiny": _nequip(2, 1, 16, 32, 8_784, Speed(2725, 896)),
        "small": _nequip(3, 1, 16, 64, 30_288, Speed(816, 330)),
        "medium": _nequip(3, 1, 32, 64, 165_536, Speed(453, 207)),
        "large": _nequip(4, 2, 32, 64, 473_248, Speed(119, 46)),
        "xlarge": _nequip(4, 2, 64, 128, 3_330_368, Speed(58, 22)),
    },
}


INSTALL = {
    "nequip": ("nequip", "pip install nequip"),
}
"""Architecture → the module it needs, and what brings that module along."""

NATIVE_SUFFIX = {"nequip": ".nequip.zip", "allegro": ".nequip.zip", "mace": ".model"}
"""Architecture → how names of files in its own package's format end."""

HOLDS_ONE_HEAD = {"nequip", "allegro"}
"""Architectures whose own format knows a single head."""


def check_installed(architecture: str) -> None:
    """Raise `ModelError`, saying what to type, if an architecture's package is missing."""
    if command := how_to_install(architecture):
        raise ModelError(f"{architecture} is not installed here; type: {command}")


def how_to_install(architecture: str) -> str | None:
    """What to type for an architecture that is not installed here; None if it is."""
    module, command = INSTALL[architecture]
    return None if find_spec(module) else command

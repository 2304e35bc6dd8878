"""Networks: each architecture as a backbone with readouts for its heads.

Only plain data is imported here, the ladder of sizes and the table of trainable parts;
`mfscale.models.build` brings torch.
"""

from mfscale.models.errors import ModelError
from mfscale.models.ladder import (
    HOLDS_ONE_HEAD,
    LADDER,
    NATIVE_SUFFIX,
    Kernels,
    Size,
    check_installed,
    check_kernels,
    how_to_install,
)
from mfscale.models.trainable import TRAINABLE, Part, read_part

__all__ = [
    "HOLDS_ONE_HEAD",
    "LADDER",
    "NATIVE_SUFFIX",
    "TRAINABLE",
    "Kernels",
    "ModelError",
    "Part",
    "Size",
    "check_installed",
    "check_kernels",
    "how_to_install",
    "read_part",
]

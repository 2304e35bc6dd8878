"""Networks: each architecture as a shared backbone with one readout per head.

Only the ladder of sizes is imported here; `mfscale.models.build` brings torch.
"""

from mfscale.models.errors import ModelError
from mfscale.models.ladder import (
    HOLDS_ONE_HEAD,
    LADDER,
    NATIVE_SUFFIX,
    Size,
    check_installed,
    how_to_install,
)

__all__ = [
    "HOLDS_ONE_HEAD",
    "LADDER",
    "NATIVE_SUFFIX",
    "ModelError",
    "Size",
    "check_installed",
    "how_to_install",
]

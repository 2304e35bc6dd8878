"""Networks: each architecture as a shared backbone with one readout per head.

Only the ladder of sizes is imported here; `mfscale.models.build` brings torch.
"""

from mfscale.models.errors import ModelError
from mfscale.models.ladder import LADDER, Size, how_to_install

__all__ = ["LADDER", "ModelError", "Size", "how_to_install"]

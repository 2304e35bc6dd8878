"""Networks: each architecture as a shared backbone with one readout per head.

Only the ladder of sizes is imported here; `mfscale.models.build` brings torch.
"""

from mfscale.models.ladder import LADDER, Size

__all__ = ["LADDER", "Size"]

"""Labels by quantum chemistry: GFN-xTB, density functionals, coupled cluster, ASE calculators.

`parse_level` reads a level of theory; `label_dataset` labels the structures of a dataset with it.
Programmes are imported when they are first used; the extra ``label`` installs them.
"""

from mfscale.data.labelling.join import Place
from mfscale.data.labelling.level import FailedLabelError, Level
from mfscale.data.labelling.outcome import Outcome, Piece, compute
from mfscale.data.labelling.parse import parse_level
from mfscale.data.labelling.report import LabelProgress, LabelReport
from mfscale.data.labelling.run import label_dataset, serially
from mfscale.data.labelling.source import place_of
from mfscale.data.labelling.wanted import Wanted

__all__ = [
    "FailedLabelError",
    "LabelProgress",
    "LabelReport",
    "Level",
    "Outcome",
    "Piece",
    "Place",
    "Wanted",
    "compute",
    "label_dataset",
    "parse_level",
    "place_of",
    "serially",
]

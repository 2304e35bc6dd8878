"""Import of structures and labels from other programmes' files into a dataset.

`import_dataset` does it, and joins datasets; `add_split` divides one anew; `parse_method` and
`parse_subsets` read what the command line is given.
"""

from mfscale.data.imports.method_keys import FORCE_UNITS, UNITS, MethodKeys, parse_method
from mfscale.data.imports.new_split import NewSplit, add_split
from mfscale.data.imports.report import Fault, ImportReport, MethodReport
from mfscale.data.imports.run import import_dataset
from mfscale.data.imports.subsets import parse_subsets

__all__ = [
    "FORCE_UNITS",
    "UNITS",
    "Fault",
    "ImportReport",
    "MethodKeys",
    "MethodReport",
    "NewSplit",
    "add_split",
    "import_dataset",
    "parse_method",
    "parse_subsets",
]

"""Import of structures and labels from other programmes' files into a dataset.

`import_dataset` does it, and joins datasets; `structures_kept` says how far an interrupted one is;
`add_split` divides one anew; `parse_method` and `parse_subsets` read what a command is given.
"""

from mfscale.data.imports.method_keys import FORCE_UNITS, UNITS, MethodKeys, parse_method
from mfscale.data.imports.new_split import NewSplit, add_split
from mfscale.data.imports.report import Fault, ImportReport, MethodReport
from mfscale.data.imports.run import import_dataset
from mfscale.data.imports.subsets import parse_subsets
from mfscale.data.imports.unfinished import structures_kept

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
    "structures_kept",
]

"""Datasets known by their counts alone: enough to plan a study with, not to run one."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from mfscale.data.splits import SUBSETS, TRAINING_SUBSETS

COUNTED: tuple[str, ...] = ("ani1ccx",)
"""Names of the datasets whose counts come with the package."""

_FOLDER = Path(__file__).parent / "counts"


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Stated(_Plain):
    """A number, and what it rests on."""

    value: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    basis: str


class CountedMethod(_Plain):
    """A label source; every structure has one label of it. Cost relative to CC = 1000."""

    name: str
    description: str
    has_forces: bool
    forces_basis: str
    cost: Stated


class Counts(_Plain):
    """What is known of a dataset without having it.

    Attributes
    ----------
    name, description, source
        As studies write it; what it is; where the numbers are from unless their basis says else.
    elements
        Chemical symbols.
    subsets
        Subset → its structures, each with a label of every method.
    mean_atoms
        Atoms per structure.
    validation_share
        Part of each training subset that is reserved for validation.
    methods
        The label sources.
    """

    name: str
    description: str
    source: str
    elements: tuple[str, ...]
    subsets: dict[str, Stated]
    mean_atoms: Stated
    validation_share: Stated
    methods: tuple[CountedMethod, ...]
    splits: tuple[str, ...] = ("random",)

    @property
    def n_structures(self) -> int:
        """Structures of all subsets."""
        return sum(self.n_in(subset) for subset in SUBSETS)

    def n_in(self, subset: str) -> int:
        """Structures, and so labels of each method, in a subset."""
        return round(self.subsets[subset].value)

    def n_labels(self, subset: str) -> tuple[int, int]:
        """Labels of each method in a subset: for training, and reserved for validation."""
        if subset not in TRAINING_SUBSETS:
            return 0, 0
        n_validation = round(self.n_in(subset) * self.validation_share.value)
        return self.n_in(subset) - n_validation, n_validation

    def planned_digest(self, request: dict[str, Any]) -> str:
        """SHA-256 that stands for labels nobody has read: of the dataset's name and the request.

        A stage planned on it has another id than the same stage has once the real data are there,
        whose digests are of their content.
        """
        asked = json.dumps({"planned of": self.name, **request}, sort_keys=True)
        return hashlib.sha256(asked.encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON; says that the data are not here."""
        labels = {
            subset: dict(zip(("training", "validation"), self.n_labels(subset), strict=True))
            if subset in TRAINING_SUBSETS
            else {"test": self.n_in(subset)}
            for subset in SUBSETS
        }
        return {
            "data": False,
            **self.model_dump(),
            "structures": self.n_structures,
            "labels_of_each_method": labels,
        }


def counts_of(name_or_path: str | Path) -> Counts | None:
    """The counts of a dataset that is known by them alone.

    None for any other, and where a directory of that name exists: that is the dataset itself.
    """
    name = str(name_or_path)
    if name not in COUNTED or Path(name).is_dir():
        return None
    return Counts.model_validate_json((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def no_data(name: str) -> str:
    """What to tell someone who needs the data of a dataset known by its counts."""
    return (
        f"{name} is known by its counts alone, which is enough to plan with; to go further import "
        f"the data first (mfscale data import) and name their directory (a directory ./{name} is "
        f"found by this name)"
    )

"""A level of theory: what turns one structure into an energy, and perhaps forces."""

from abc import ABC, abstractmethod
from collections.abc import Collection
from importlib import import_module
from types import ModuleType
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from mfscale.data.errors import DatasetError
from mfscale.data.imports.record import Label

Numbers = NDArray[np.int64]
Positions = NDArray[np.float64]


class FailedLabelError(Exception):
    """A structure that a level of theory could not label; the message is the reason."""


class Level(BaseModel, ABC):
    """A level of theory with its settings; sent to workers, so it holds plain values alone.

    Molecules are neutral. Those with an odd number of electrons are refused unless `unrestricted`,
    and then are doublets.

    Attributes
    ----------
    usual_name
        What its labels are called in a dataset if nothing else is said.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    usual_name: ClassVar[str]

    @property
    @abstractmethod
    def description(self) -> str:
        """Level of theory, what may change the numbers, programme and version."""

    @property
    def has_forces(self) -> bool:
        """Whether its labels hold forces."""
        return True

    @abstractmethod
    def check(self, elements: Collection[str]) -> None:
        """Raise `DatasetError` if it cannot be used here, or lacks one of the elements."""

    @abstractmethod
    def label(self, numbers: Numbers, positions: Positions) -> Label:
        """Energy in eV and forces in eV/Å of n atoms, (n,) and (n, 3) in Å.

        Raises
        ------
        FailedLabelError
            When there is no answer, for one SCF that did not converge.
        """


def programme(module: str) -> ModuleType:
    """Import what a level of theory needs; `DatasetError` names the extra that installs it."""
    try:
        return import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise DatasetError(
            f"{package} is not installed; pip install {package}, or install mfscale with its extra "
            f"'label': pip install '.[label]'"
        ) from None


def excess_spin(numbers: Numbers, *, unrestricted: bool) -> int:
    """Unpaired electrons of a neutral molecule: 0, or 1, which `FailedLabelError` may refuse."""
    unpaired = int(numbers.sum()) % 2
    if unpaired and not unrestricted:
        raise FailedLabelError("has an odd number of electrons (a radical: unrestricted)")
    return unpaired


def lacking(what: str, missing: Collection[str]) -> DatasetError:
    """The message for elements that a level of theory does not know."""
    return DatasetError(
        f"{what} has no parameters for {', '.join(missing)}; choose another method, or structures "
        f"without"
    )

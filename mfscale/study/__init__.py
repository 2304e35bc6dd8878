"""Studies: a YAML file in, a graph of fully resolved stages out."""

from mfscale.study.catalogue import Catalogue, DatasetEntry, LabelRequest, MethodEntry, ModelEntry
from mfscale.study.choice_files import add_choices, read_choices
from mfscale.study.differences import (
    Description,
    Difference,
    described,
    differences,
    nearest,
)
from mfscale.study.errors import StudyError
from mfscale.study.expand import StudyGraph, expand
from mfscale.study.load import Study, load_study, parse_study
from mfscale.study.recorded import of_stage, recorded
from mfscale.study.schema import Hyperparameters, ModelSpec
from mfscale.study.stage import RECIPE, Head, LabelledSetOf, Model, Stage
from mfscale.study.tuning import Choice, Choices, Range, Tuning

__all__ = [
    "RECIPE",
    "Catalogue",
    "Choice",
    "Choices",
    "DatasetEntry",
    "Description",
    "Difference",
    "Head",
    "Hyperparameters",
    "LabelRequest",
    "LabelledSetOf",
    "MethodEntry",
    "Model",
    "ModelEntry",
    "ModelSpec",
    "Range",
    "Stage",
    "Study",
    "StudyError",
    "StudyGraph",
    "Tuning",
    "add_choices",
    "described",
    "differences",
    "expand",
    "load_study",
    "nearest",
    "of_stage",
    "parse_study",
    "read_choices",
    "recorded",
]

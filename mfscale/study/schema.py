"""The schema of a study file once its axes are resolved: every field, its default, its meaning.

A study file holds lists where these models hold one value; `mfscale.study.axes` makes one
resolved tree of each combination before it is checked here.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]
Seed = Annotated[int, Field(ge=0, lt=2**31)]


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class ModelSpec(_Spec):
    """The network of every step: an architecture and one of its named sizes."""

    architecture: str = "nequip"
    size: str = "tiny"
    dtype: Literal["float32", "float64"] = "float32"
    cutoff_a: float = Field(default=5.0, gt=0.5, le=20.0, description="neighbour cutoff, Å")
    fidelity: Literal["readout", "embedding"] = Field(
        default="readout",
        description="where the method enters: a readout for each head, or one readout for all and "
        "the method as an input of the network",
    )


class Hyperparameters(_Spec):
    """How a step is trained. Part of a stage's identity, stored in every row.

    Energies enter the loss per atom in eV, forces per component in eV/Å.
    """

    learning_rate: float | None = Field(
        default=None, gt=0, description="peak rate; unset: 0.01 from scratch, 0.003 from a parent"
    )
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup_steps: int = Field(default=20, ge=0, description="linear rise of the rate")
    final_learning_rate_fraction: float = Field(default=0.01, gt=0, le=1)
    batch_size: int = Field(default=16, ge=1, le=65536)
    max_steps: int = Field(default=2500, ge=1, description="the cap, equal for every strategy")
    validate_every: int = Field(default=50, ge=1, description="steps between validations")
    patience: int = Field(
        default=20, ge=1, description="validations without improvement before stopping (plateau)"
    )
    loss: Literal["mse", "huber"] = "mse"
    huber_delta_ev: float = Field(default=0.01, gt=0, description="eV (per atom, or eV/Å)")
    energy_weight: float = Field(default=100.0, ge=0)
    force_weight: float = Field(default=1.0, ge=0)
    ema_decay: float = Field(default=0.99, ge=0, lt=1, description="of the weights, warmed up")
    weight_decay: float = Field(default=0.0, ge=0)
    max_gradient_norm: float = Field(default=10.0, gt=0)
    offsets: Literal["residuals", "labels"] = Field(
        default="residuals",
        description="a child fits its offsets to its parent's residuals, or afresh to the labels",
    )
    offset_ridge: float = Field(default=1e-9, ge=0, description="relative to the mean eigenvalue")


class HeadSpec(_Spec):
    """One readout and the labelled set it learns from."""

    method: str | None = Field(default=None, description="label source; unset: the head's name")
    minus: str | None = Field(
        default=None,
        description="Δ-learning: learn the method's labels minus this one's, where both are known",
    )
    subset: str
    size: int = Field(ge=1, description="training labels; validation is counted beside it")
    forces: bool | None = Field(default=None, description="unset: wherever the method has them")
    weight: float = Field(default=1.0, gt=0, description="of this head in the loss")
    sampling_ratio: float | None = Field(
        default=None,
        gt=0,
        description="samples drawn for this head, relative to the step's other heads; unset for "
        "all heads: as many as it has labels",
    )
    validation: int = Field(default=64, ge=1, description="labels of the reserved validation part")
    inherit: str | None = Field(
        default=None,
        description="parent's head this one starts from, or 'fresh'; unset: the parent's head of "
        "the same name, else its only head",
    )


def _kind_of_head(value: object) -> str:
    return "fate" if isinstance(value, str) else "labels"


HeadEntry = Annotated[
    Annotated[HeadSpec, Tag("labels")] | Annotated[Literal["keep", "drop"], Tag("fate")],
    Discriminator(_kind_of_head),
]


class StepSpec(_Spec):
    """Heads trained together from an initial state.

    A head of the step before that this step neither trains nor hands on is named too: with
    ``keep`` its readout stays as it is, with ``drop`` it ends here.
    """

    heads: dict[Name, HeadEntry] = Field(min_length=1)
    trainable: str | dict[str, Annotated[int, Field(ge=1)]] = Field(
        default="all",
        description="part of the model that learns: a name, or a name with a number, "
        "{freeze_blocks: 1}",
    )
    training: Hyperparameters = Hyperparameters()


class StrategySpec(_Spec):
    """One resolved combination: everything that is shared by its steps, and the steps."""

    dataset: str = Field(min_length=1)
    split: str = "random"
    model: ModelSpec = ModelSpec()
    seed: Seed = 0
    data_seed: Seed = 0
    steps: tuple[StepSpec, ...] = Field(min_length=1)


SHARED_KEYS = tuple(key for key in StrategySpec.model_fields if key != "steps")
STUDY_KEYS = ("name", *SHARED_KEYS, "training", "tune", "strategies")

"""What a result row is: every field with its type, meaning and unit, as one explicit Arrow schema.

Types are written here once and never inferred from values: a reader that took the type of a
column from the first file it met would turn a later 1.5 into 2. The schema only ever grows; each
addition raises ``FORMAT``, so that older code refuses a newer file instead of dropping its columns.
"""

from collections.abc import Sequence

import pyarrow as pa

FORMAT = 5
FORMAT_KEY = b"mfscale_format"

STATUSES = ("finished", "diverged", "failed", "skipped")
"""Statuses in order of precedence: of several rows of a stage, readers keep the first of these."""


def _field(
    name: str,
    dtype: pa.DataType,
    description: str,
    *,
    unit: str = "",
    choices: Sequence[str] = (),
    required: bool = False,
) -> pa.Field:
    """Make a field whose metadata tells any Parquet tool what the column means."""
    metadata = {"description": description, "unit": unit, "choices": "|".join(choices)}
    return pa.field(
        name,
        dtype,
        nullable=not required,
        metadata={key: text for key, text in metadata.items() if text},
    )


def _schema(fields: Sequence[pa.Field]) -> pa.Schema:
    return pa.schema(fields, metadata={FORMAT_KEY: str(FORMAT)})


_text, _flag, _real = pa.string(), pa.bool_(), pa.float64()
_int, _count = pa.int32(), pa.int64()

_LABELS = (
    _field("method", _text, "method whose labels these are", required=True),
    _field("subset", _text, "subset that the labels are drawn from", required=True),
    _field("size", _count, "training labels", unit="labels", required=True),
    _field("forces", _flag, "whether forces are among the labels"),
)

_MINUS = _field("minus", _text, "method whose labels were subtracted; null if none were")

_HEAD = pa.struct(
    [
        _field("name", _text, "name of the head", required=True),
        *_LABELS[:3],
        _field("n_validation", _count, "validation labels, beside the size", unit="labels"),
        _LABELS[3],
        _field("weight", _real, "weight of the head in the loss"),
        _field(
            "sampling_ratio",
            _real,
            "share of the samples drawn, relative to the other heads; null: by number of labels",
        ),
        _field("inherit", _text, "parent's head that this one starts from"),
        _field("digest", _text, "hash of the labels' content"),
        _MINUS,
        _field(
            "inference_cost",
            _real,
            "relative cost of the label that each prediction takes (CC = 1000); 0 if it takes none",
        ),
    ]
)

_KEPT = pa.struct(
    [
        _field("name", _text, "name of the head", required=True),
        _field("method", _text, "method whose labels it once learned", required=True),
    ]
)

_LINEAGE = pa.struct(
    [
        _field("step", _int, "step of the strategy, 0 at the root", required=True),
        _field("stage_id", _text, "stage that trained on these labels"),
        _field("head", _text, "head that learned from these labels"),
        *_LABELS,
        _MINUS,
    ]
)

_HYPERPARAMETERS = pa.struct(
    [
        _field("learning_rate", _real, "peak learning rate"),
        _field("schedule", _text, "shape of the learning-rate schedule"),
        _field("warmup_steps", _count, "steps of linear warm-up", unit="steps"),
        _field(
            "final_learning_rate_fraction",
            _real,
            "learning rate at the end of the schedule, as a fraction of the peak",
        ),
        _field("batch_size", _count, "structures per batch", unit="structures"),
        _field("max_steps", _count, "cap on optimiser steps", unit="steps"),
        _field("validate_every", _count, "steps between validations", unit="steps"),
        _field("patience", _count, "validations without improvement that make a plateau"),
        _field("loss", _text, "form of the loss, mse or huber"),
        _field("huber_delta_ev", _real, "where the Huber loss turns linear", unit="eV"),
        _field("energy_weight", _real, "weight of the per-atom energy in the loss"),
        _field("force_weight", _real, "weight of the force components in the loss"),
        _field("ema_decay", _real, "decay per step of the moving average of the weights"),
        _field("weight_decay", _real, "weight decay of the optimiser"),
        _field("max_gradient_norm", _real, "norm at which gradients are clipped"),
        _field("offsets", _text, "variant of the fit of per-element energy offsets"),
        _field("offset_ridge", _real, "ridge of the fit of per-element energy offsets"),
    ]
)

_OFFSET = pa.struct(
    [
        _field("head", _text, "head that the offset belongs to", required=True),
        _field("element", _text, "chemical symbol", required=True),
        _field("offset_ev", _real, "energy offset per atom of this element", unit="eV"),
    ]
)

_SCALE = pa.struct(
    [
        _field("head", _text, "head whose readout speaks in this unit", required=True),
        _field("energy_scale_ev", _real, "set where the readout started afresh", unit="eV"),
    ]
)

_EVALUATION = pa.struct(
    [
        _field("head", _text, "head that predicts", required=True),
        _field("method", _text, "method whose labels are the reference", required=True),
        _field(
            "subset",
            _text,
            "t, or '<subset>/validation' for a head's own validation part",
            required=True,
        ),
        _field(
            "moment",
            _text,
            "before the first step, at the end, or of the offset-only baseline",
            choices=("start", "end", "baseline"),
            required=True,
        ),
        _field(
            "metric",
            _text,
            "mean absolute or root-mean-square error of total energies or force components",
            choices=("energy_mae", "energy_rmse", "forces_mae", "forces_rmse"),
            required=True,
        ),
        _field("value", _real, "the error, in the unit beside it"),
        _field(
            "unit",
            _text,
            "unit of the value",
            choices=("meV", "meV/atom", "meV/Å"),
            required=True,
        ),
        _field("n", _count, "structures that the error is a mean over", unit="structures"),
    ]
)

_THROUGHPUT = _field(
    "structures_per_second",
    _real,
    "training throughput, validations and checkpoints on the way included",
    unit="structures/s",
)

_PACKAGE = pa.struct(
    [
        _field("name", _text, "name of the installed package"),
        _field("version", _text, "its version"),
    ]
)

GROUPS: dict[str, tuple[pa.Field, ...]] = {
    "identity": (
        _field("stage_id", _text, "hash of the resolved stage", required=True),
        _field("attempt", _int, "which attempt at the stage, from 0", required=True),
        _field("status", _text, "how the stage ended", choices=STATUSES, required=True),
        _field("reason", _text, "why a stage diverged, failed or was skipped"),
        _field(
            "purpose",
            _text,
            "a result, or a tuning trial that never mixes with results",
            choices=("science", "tune"),
            required=True,
        ),
        _field("recipe", _int, "version of the training semantics"),
        _field("parent_id", _text, "stage whose model this one starts from; null at a root"),
        _field("root_id", _text, "pre-trained checkpoint that all descends from; own id at a root"),
        _field("step", _int, "step of the strategy, 0 at a root"),
    ),
    "model": (
        _field("architecture", _text, "architecture of the model"),
        _field("size", _text, "named size of the model"),
        _field("dtype", _text, "floating-point type of the network"),
        _field("cutoff_a", _real, "neighbour cutoff", unit="Å"),
        _field("n_parameters", _count, "parameters of the model", unit="parameters"),
        _field("n_trainable", _count, "parameters that this stage trains", unit="parameters"),
        _field("trainable", _text, "part of the model that this stage trains"),
        _field(
            "fidelity",
            _text,
            "where the method enters: a readout for each head, or one for all and the method as an "
            "input; null: readout",
        ),
        _field("energy_scale_ev", _real, "energy scale of the model's only head", unit="eV"),
        _field("scales", pa.list_(_SCALE), "energy scale of each head"),
        _field("mean_neighbours", _real, "mean number of neighbours, set at the root"),
        _field("offsets", pa.list_(_OFFSET), "energy offsets of each head"),
    ),
    "labels": (
        _field("dataset", _text, "dataset that the labels come from"),
        _field("split", _text, "how the dataset is split into subsets"),
        _field("heads", pa.list_(_HEAD), "the labelled set of each head"),
        _field("kept_heads", pa.list_(_KEPT), "heads of the parent carried along untrained"),
        _field(
            "lineage",
            pa.list_(_LINEAGE),
            "labelled sets of all ancestors and of the stage itself, oldest first",
        ),
    ),
    "settings": (
        _field("seed", _count, "seed of initialisation and batch order"),
        _field("data_seed", _count, "seed that draws the labelled sets"),
        _field("hyperparameters", _HYPERPARAMETERS, "settings of the training"),
        _field("tuning", _text, "tuning that chose the settings; null if none did"),
    ),
    "training": (
        _field("steps", _count, "optimiser steps taken", unit="steps"),
        _field("steps_to_best", _count, "steps taken up to the best weights", unit="steps"),
        _field("samples_seen", _count, "structures trained on, repeats counted", unit="structures"),
        _field(
            "stop_reason",
            _text,
            "what ended the training; adopted: none took place, the model is from a file; pruned: "
            "a tuning trial was without hope",
            choices=("plateau", "cap", "diverged", "adopted", "pruned"),
        ),
        _field(
            "converged",
            _flag,
            "stopped at a plateau, or at the cap with a validation loss that fell by less than 1 % "
            "over the last quarter",
        ),
        _field("best_validation_loss", _real, "lowest validation loss"),
        _field(
            "train_time_s",
            _real,
            "time spent training, validations and checkpoints on the way included",
            unit="s",
        ),
        _field("total_samples_seen", _count, "samples seen, with all ancestors", unit="structures"),
        _field("total_train_time_s", _real, "training time, with all ancestors", unit="s"),
    ),
    "errors": (
        _field("evaluations", pa.list_(_EVALUATION), "errors of each head against each method"),
    ),
    "provenance": (
        _field("mfscale_version", _text, "version of mfscale"),
        _field("git_commit", _text, "commit of the working copy, if there is one"),
        _field("python_version", _text, "version of Python"),
        _field("packages", pa.list_(_PACKAGE), "versions of the packages that decide the numbers"),
        _field("device", _text, "device that the stage ran on"),
        _field("compile_mode", _text, "how the model was compiled"),
        _field("kernels", _text, "what computed products of tensors: e3nn or cuequivariance"),
        _field("n_threads", _int, "threads of the tensor library"),
        _field(
            "batch_parts",
            _int,
            "parts that each batch was taken in, to fit into memory; of the same step, to rounding",
        ),
        _field("gpu_share", _real, "share of a GPU that the stage was given; null: none"),
        _field("started_at", pa.timestamp("us", tz="UTC"), "when the attempt started"),
        _field("wall_time_s", _real, "duration of the attempt", unit="s"),
        _THROUGHPUT,
        _field("peak_memory_mb", _real, "peak memory of the worker", unit="MB"),
        _field(
            "peak_gpu_memory_mb",
            _real,
            "most of a GPU that the stage's tensors took; null: none",
            unit="MB",
        ),
        _field("warnings", pa.list_(_text), "what a reader of this row should know"),
        _field("log_file", _text, "log of the attempt, relative to the store"),
    ),
}
"""The fields of a row, in groups of one subject each."""

SCHEMA = _schema([field for fields in GROUPS.values() for field in fields])
"""One row per stage."""

CURVE_SCHEMA = _schema(
    [
        _field("step", _count, "optimiser steps taken", unit="steps"),
        _field("epoch", _real, "passes over the training labels", unit="epochs"),
        _field("learning_rate", _real, "learning rate at this step"),
        _field("train_loss", _real, "mean training loss since the last validation"),
        _field("validation_loss", _real, "validation loss"),
        _field("validation_energy_mae_mev", _real, "MAE of total energies", unit="meV"),
        _field("validation_forces_mae_mev_per_a", _real, "MAE of forces", unit="meV/Å"),
        _field("elapsed_s", _real, "time since training started", unit="s"),
        _THROUGHPUT,
    ]
)
"""The learning curve of a stage: one row per validation."""

ERRORS_SCHEMA = _schema(
    [
        _field("structure", _count, "index of the structure in the dataset"),
        _field("n_atoms", _int, "atoms of the structure", unit="atoms"),
        _field("head", _text, "head that predicts"),
        _field("method", _text, "method whose labels are the reference"),
        _field("energy_error_mev", _real, "predicted minus reference total energy", unit="meV"),
        _field("forces_mae_mev_per_a", _real, "MAE of the force components", unit="meV/Å"),
    ]
)
"""The test errors of a stage: one row per structure, head and method."""

_few = pa.dictionary(pa.int32(), pa.string())

ARCHIVE_ERRORS_SCHEMA = _schema(
    [
        _field("stage_id", _few, "hash of the resolved stage", required=True),
        *(ERRORS_SCHEMA.field(name) for name in ("structure", "n_atoms")),
        _field("head", _few, "head that predicts"),
        _field("method", _few, "method whose labels are the reference: the head's own"),
        _field(
            "energy_error_mev",
            pa.float32(),
            "predicted minus reference total energy, rounded to single precision",
            unit="meV",
        ),
        _field(
            "forces_mae_mev_per_a",
            pa.float32(),
            "MAE of the force components, rounded to single precision",
            unit="meV/Å",
        ),
    ]
)
"""The test errors of all stages of an archive in one file: those of `ERRORS_SCHEMA`, each stage's
together and in their order. A few repeated texts are stored once; errors have seven digits."""

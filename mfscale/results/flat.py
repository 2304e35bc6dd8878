"""Spread the nested fields of result rows over plain columns, for people and data frames."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mfscale.results.entries import Columns, Entries, Index
from mfscale.results.schema import GROUPS, SCHEMA

if TYPE_CHECKING:
    import pandas as pd

_UNIT_SLUGS = {"meV": "mev", "meV/atom": "mev_per_atom", "meV/Å": "mev_per_a"}
_VALIDATION = "/validation"
_MODEL = [field.name for field in GROUPS["model"] if not pa.types.is_list(field.type)]
_OF_PARENT = (*_MODEL, "recipe", "converged", "tuning")
_HEAD_FIELDS = (
    *("size", "n_validation", "subset", "forces", "weight", "sampling_ratio"),
    *("inherit", "minus", "inference_cost"),
)
_EVALUATION_KEYS = ("head", "method", "subset", "moment", "metric", "unit")


def flatten(table: pa.Table) -> "pd.DataFrame":
    """Spread the nested fields of result rows over plain columns.

    Parameters
    ----------
    table
        Rows with ``SCHEMA``, one per stage.

    Returns
    -------
    pandas.DataFrame
        One row per stage, in the same order. Whole numbers and flags are nullable (``Int64``,
        ``boolean``), real numbers have NaN where a stage has no such value. Columns:

        ==================================  ======================================================
        ``stage_id``, ``status``, …         every scalar field of ``SCHEMA``
        ``hp_<name>``                       hyperparameters
        ``<head>_size``, ``_n_validation``  labels of a head of this stage; also ``_subset``,
                                            ``_forces``, ``_weight``, ``_sampling_ratio``,
                                            ``_inherit``, ``_minus`` and ``_inference_cost``
        ``<head>_beside``                   the labelled sets of the stage's other heads; ``none``
                                            if it learns alone
        ``labels``                          the stage's labelled sets, ``dft:b:400+forces``, of
                                            differences ``cc-xtb:a:50``; several heads joined by
                                            ``&``
        ``pretraining``                     the same of its ancestors, steps joined by ``>``;
                                            ``none`` at a root
        ``n_labels_<method>``               distinct training labels of the whole lineage: draws
                                            nest, so of several draws from one subset the largest
        ``offset_<head>_<element>_ev``      energy offsets
        ``energy_scale_<head>_ev``          energy scales
        ``cc_t_energy_mae_mev``             error of head ``cc`` against its own method, whatever
                                            that is called, on subset ``t`` at the end of
                                            training; metrics ``energy_mae`` and ``energy_rmse``
                                            in ``mev`` and ``mev_per_atom``, ``forces_mae`` and
                                            ``forces_rmse`` in ``mev_per_a``
        ``cc_vs_dft_t_forces_mae_mev_per_a``  the same of head ``cc`` against method ``dft``
        ``dft_b_validation_energy_mae_mev``  the same on the head's own validation part
        ``validation_energy_mae_mev``       the same, for a stage with a single head
        ``start_<error>``                   an error before the first step
        ``baseline_<error>``                an error of the offsets alone
        ``parent_<column>``                 the parent's model, ``recipe``, ``tuning``,
                                            hyperparameters (``parent_hp_<name>``), labels,
                                            ``converged``, and errors at the end
        ==================================  ======================================================
    """
    import pandas as pd  # noqa: PLC0415 - slow to import, and SQL does without

    nullable = {
        pa.int32(): pd.Int32Dtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
    }
    frame: pd.DataFrame = flat_table(table).to_pandas(types_mapper=nullable.get)
    return frame


def flat_table(table: pa.Table) -> pa.Table:
    """Do as ``flatten`` does, as an Arrow table."""
    heads, lineage = Entries.of(table, "heads"), Entries.of(table, "lineage")
    labels = _label_columns(heads) | _lineage_columns(lineage, table["step"])
    kept = Entries.of(table, "kept_heads")
    errors = _error_columns(Entries.of(table, "evaluations"), heads, kept)
    scalars = {
        field.name: table[field.name].combine_chunks()
        for field in SCHEMA
        if not pa.types.is_nested(field.type)
    }
    hyperparameters = _hyperparameter_columns(table)
    columns = (
        scalars
        | hyperparameters
        | labels
        | {name: array for moment in errors.values() for name, array in moment.items()}
        | _offset_columns(Entries.of(table, "offsets"))
        | _scale_columns(Entries.of(table, "scales"))
    )
    described = {name: scalars[name] for name in _OF_PARENT} | hyperparameters
    described |= labels | errors["end"]
    parent = pc.index_in(scalars["parent_id"], value_set=scalars["stage_id"])
    columns |= {f"parent_{name}": array.take(parent) for name, array in described.items()}
    return pa.table(columns)


def evaluations_table(table: pa.Table) -> pa.Table:
    """List the evaluations of all rows, one per row, with the ``stage_id`` before them."""
    entries = Entries.of(table, "evaluations")
    stage_id = table["stage_id"].combine_chunks().take(pa.array(entries.rows))
    return pa.table({"stage_id": stage_id} | entries.fields)


def _hyperparameter_columns(table: pa.Table) -> Columns:
    settings = table["hyperparameters"].combine_chunks()
    names = (f"hp_{field.name}" for field in settings.type)
    return dict(zip(names, settings.flatten(), strict=True))


def _label_columns(heads: Entries) -> Columns:
    columns = {
        f"{head}_{name}": heads.spread(name, entries)
        for (head,), entries in heads.kinds(["name"])
        for name in _HEAD_FIELDS
    }
    beside = {
        f"{head}_beside": _labels_beside(heads, head, entries)
        for (head,), entries in heads.kinds(["name"])
    }
    return columns | beside | {"labels": _joined_labels(heads)}


def _labels_beside(heads: Entries, head: str, entries: Index) -> pa.Array:
    """What the other heads learn of the rows that have `head`, at `entries`."""
    text = _joined_labels(heads.keep(np.asarray(pc.not_equal(heads.fields["name"], head))))
    has_it = np.isin(np.arange(heads.n_rows), heads.rows[entries])
    return pc.if_else(pa.array(has_it), pc.if_else(pc.equal(text, ""), "none", text), None)


def _joined_labels(heads: Entries) -> pa.Array:
    separators = np.where(heads.is_first(), "", " & ").astype(object)
    return heads.join(separators, _label_text(heads))


def _lineage_columns(lineage: Entries, step: pa.ChunkedArray) -> Columns:
    own_step = np.asarray(step.fill_null(0))[lineage.rows]
    ancestors = lineage.keep(np.asarray(lineage.fields["step"]) < own_step)
    new_step = np.diff(np.asarray(ancestors.fields["step"]), prepend=-1) != 0
    separators = np.where(ancestors.is_first(), "", np.where(new_step, " > ", " & "))
    text = ancestors.join(separators.astype(object), _label_text(ancestors))
    pretraining = pc.if_else(pc.equal(text, ""), "none", text)

    sizes = np.asarray(lineage.fields["size"])
    distinct: dict[str, npt.NDArray[np.int64]] = {}
    for (method, _), entries in lineage.kinds(["method", "subset"]):
        largest = np.zeros(lineage.n_rows, dtype=np.int64)
        np.maximum.at(largest, lineage.rows[entries], sizes[entries])
        distinct[method] = distinct.get(method, 0) + largest
    counts = {
        f"n_labels_{method}": pa.array(total, mask=~lineage.present)
        for method, total in distinct.items()
    }
    return {"pretraining": pretraining} | counts


def _label_text(entries: Entries) -> pa.Array:
    fields = entries.fields
    minus = pc.binary_join_element_wise(fields["method"], fields["minus"], "-")
    sets = pc.binary_join_element_wise(
        pc.coalesce(minus, fields["method"]),
        fields["subset"],
        fields["size"].cast(pa.string()),
        ":",
    )
    forces = pc.if_else(fields["forces"], "+forces", "").fill_null("")
    return pc.binary_join_element_wise(sets, forces, "")


def _error_columns(evaluations: Entries, heads: Entries, kept: Entries) -> dict[str, Columns]:
    """Make a column of each kind of error, by the moment of its evaluation."""
    named: dict[tuple[str, str], list[Index]] = {}
    aliased: dict[tuple[str, str], list[Index]] = {}
    single = np.bincount(heads.rows, minlength=heads.n_rows) == 1
    learners, nobody = _learners(heads, kept), np.zeros(heads.n_rows, dtype=np.bool_)
    for kind, entries in evaluations.kinds(_EVALUATION_KEYS):
        head, method, subset, moment, metric, unit = kind
        rows = evaluations.rows[entries]
        own = learners.get((head, method), nobody)[rows]
        if head == method:  # all there is to go by where a row does not list its heads
            own |= ~heads.present[rows]
        prefix = "" if moment == "end" else f"{moment}_"
        error = f"{metric}_{_UNIT_SLUGS[unit]}"
        for pair, mask in ((head, own), (f"{head}_vs_{method}", ~own)):
            name = f"{prefix}{pair}_{subset.replace('/', '_')}_{error}"
            if mask.any():
                named.setdefault((moment, name), []).append(entries[mask])
        if subset.endswith(_VALIDATION):
            alias = f"{prefix}validation_{error}"
            aliased.setdefault((moment, alias), []).append(entries[own & single[rows]])
    columns: dict[str, Columns] = {"end": {}, "start": {}, "baseline": {}}
    for (moment, name), groups in (*named.items(), *sorted(aliased.items())):
        columns[moment][name] = evaluations.spread("value", np.concatenate(groups))
    return columns


def _learners(heads: Entries, kept: Entries) -> dict[tuple[str, str], npt.NDArray[np.bool_]]:
    """Tell, for each head and method, in which rows the head learned the method, shape (rows,)."""
    learners: dict[tuple[str, str], npt.NDArray[np.bool_]] = {}
    for some in (heads, kept):
        for (head, method), entries in some.kinds(["name", "method"]):
            rows = learners.setdefault((head, method), np.zeros(some.n_rows, dtype=np.bool_))
            rows[some.rows[entries]] = True
    return learners


def _scale_columns(scales: Entries) -> Columns:
    return {
        f"energy_scale_{head}_ev": scales.spread("energy_scale_ev", entries)
        for (head,), entries in scales.kinds(["head"])
    }


def _offset_columns(offsets: Entries) -> Columns:
    return {
        f"offset_{head}_{element}_ev": offsets.spread("offset_ev", entries)
        for (head, element), entries in offsets.kinds(["head", "element"])
    }

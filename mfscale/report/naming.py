"""What columns and groups are called on an axis: ``cc_t_energy_mae_mev`` → CC test MAE (meV)."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from mfscale.scaling import Scalar

_METHODS = {"xtb": "xTB", "dft": "DFT", "cc": "CC"}
_UNITS = {"mev": "meV", "mev_per_atom": "meV/atom", "mev_per_a": "meV/Å"}
_BESIDE, _COUNTS = "_beside", "n_labels_"
_LABELS_COLUMNS = ("pretraining", "pretraining_kind", "labels")
_SETTING = re.compile(r"(parent_)?hp_.+|parent_.+|.+_(weight|sampling_ratio|inherit|minus)")
_NAMES = {
    "root_id": "pre-trained checkpoint",
    "pretraining": "pre-training",
    "pretraining_kind": "pre-training",
    "size": "model size",
    "n_parameters": "parameters",
}
_MOMENTS = {"": "", "start_": " before training", "baseline_": " of the offsets alone"}

_ERROR = re.compile(
    r"(?P<parent>parent_)?(?P<moment>start_|baseline_)?"
    r"(?:(?P<head>[a-z0-9-]+?)_(?:vs_(?P<method>[a-z0-9-]+)_)?)??"
    r"(?:(?P<subset>[abct])_)?(?P<validation>validation_)?"
    r"(?P<quantity>energy|forces)_(?P<metric>mae|rmse)_(?P<unit>mev|mev_per_atom|mev_per_a)"
)
_HYPERPARAMETER = re.compile(r"(?P<parent>parent_)?hp_(?P<name>.+)")
_SIZE = re.compile(r"(?P<parent>parent_)?(?P<method>[a-z0-9-]+)_size")
_LABELLED_SET = re.compile(
    r"(?P<head>[\w-]+):(?P<subset>[\w-]+)(?::(?P<size>\d+))?(?P<forces>\+forces)?"
)


def column_label(column: str) -> str:
    """A column as people say it, with its unit; an unknown column keeps its name."""
    if column in _NAMES:
        return _NAMES[column]
    if column.endswith(_BESIDE):
        return "trained with"
    error = _ERROR.fullmatch(column)
    return _training_label(column) if error is None else _error_label(error)


def _training_label(column: str) -> str:
    if setting := _HYPERPARAMETER.fullmatch(column):
        use = "pre-training " if setting["parent"] else ""
        return use + setting["name"].replace("_", " ")
    if column.startswith(_COUNTS):
        return f"{_method(column.removeprefix(_COUNTS))} labels"
    if size := _SIZE.fullmatch(column):
        use = "pre-training" if size["parent"] else "training"
        return f"{_method(size['method'])} {use} labels"
    return column.replace("_", " ")


def _error_label(error: re.Match[str]) -> str:
    words = [
        "pre-trained" if error["parent"] else "",
        _method(error["head"]) if error["head"] else "",
        f"against {_method(error['method'])}" if error["method"] else "",
        "validation" if error["validation"] else "test" if error["subset"] == "t" else "",
        "force" if error["quantity"] == "forces" else "",
        error["metric"].upper(),
    ]
    moment = _MOMENTS[error["moment"] or ""]
    return f"{' '.join(filter(None, words))}{moment} ({_UNITS[error['unit']]})"


def group_names(column: str, values: Sequence[Scalar]) -> list[str]:
    """Values of a group column as people say them; different values get different names.

    ``dft:b:100+forces`` is "DFT 100"; where that would name two groups, the subset and the forces
    are told as well. Real numbers have three digits, or as many as tell them apart.
    """
    values = _shortened(values)
    short = {value: _group_name(column, value, full=False) for value in values}
    repeated = {name for name, count in Counter(short.values()).items() if count > 1}
    return [
        _group_name(column, value, full=True) if short[value] in repeated else short[value]
        for value in values
    ]


def names_of_groups(groups: Sequence[Mapping[str, Scalar]]) -> list[str]:
    """Groups, given by the same columns, as people say them: the names of their values, joined.

    Settings of the training that no two groups need to be told apart are left out.
    """
    if not groups[0]:
        return ["all runs"] * len(groups)
    return _joined(groups, naming_columns(groups))


def naming_columns(groups: Sequence[Mapping[str, Scalar]]) -> list[str]:
    """The columns of groups whose values name them; see `names_of_groups`."""
    kept = list(groups[0])
    for column in filter(_SETTING.fullmatch, reversed(list(groups[0]))):
        fewer = [other for other in kept if other != column]
        if fewer and len(set(_joined(groups, fewer))) == len(groups):
            kept = fewer
    return kept


def _joined(groups: Sequence[Mapping[str, Scalar]], columns: Sequence[str]) -> list[str]:
    named = [group_names(column, [group[column] for group in groups]) for column in columns]
    return [
        ", ".join(filter(None, names)) if is_direct(group) else _indirect(names)
        for group, names in zip(groups, zip(*named, strict=True), strict=True)
    ]


def _indirect(names: Sequence[str]) -> str:
    """What is not trained on its target's labels alone is not called direct."""
    return ", ".join(filter(None, names)).replace("none (direct)", "none")


def is_direct(group: Mapping[str, Scalar]) -> bool:
    """Whether nothing but the target's own labels was ever learned."""
    beside = [value for column, value in group.items() if column.endswith(_BESIDE)]
    return group.get("pretraining") == "none" and all(value == "none" for value in beside)


def _shortened(values: Sequence[Scalar]) -> list[Scalar]:
    """The same, real numbers as text."""
    real = {value for value in values if isinstance(value, float)}
    digits = next(
        (d for d in range(3, 17) if len({f"{value:.{d}g}" for value in real}) == len(real)), 17
    )
    return [
        value
        if not isinstance(value, float)
        else str(int(value))
        if value.is_integer()
        else f"{value:.{digits}g}"
        for value in values
    ]


def _group_name(column: str, value: Scalar, *, full: bool) -> str:
    if value is None:
        return "missing"
    if column.endswith(_BESIDE):
        return "" if value == "none" else f"with {_labels(str(value), full=full)}"
    if column not in _LABELS_COLUMNS:
        return str(value)
    return "none (direct)" if value == "none" else _labels(str(value), full=full)


def _labels(text: str, *, full: bool) -> str:
    return _LABELLED_SET.sub(lambda found: _labelled_set(found, full=full), text).replace(
        " > ", " → "
    )


def _labelled_set(found: re.Match[str], *, full: bool) -> str:
    name = " ".join(filter(None, (_method(found["head"]), found["size"])))
    if not full:
        return name
    return f"{name} ({found['subset']}{', forces' if found['forces'] else ', no forces'})"


def _method(name: str) -> str:
    return _METHODS.get(name, name)

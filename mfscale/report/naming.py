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
_DEFAULTS = {"trainable": "all", "fidelity": "readout"}
"""What a group has unless its name says otherwise."""
_SETTINGS_TITLE = "settings"
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

    ``dft:b:100+forces`` is "DFT 100"; where that would name two groups, forces or subset, or both,
    are told as well. Real numbers have three digits, or as many as tell them apart.
    """
    values = _shortened(values)
    names = {value: _group_name(column, value) for value in values}
    for details in (("forces",), ("subset",), ("subset", "forces")):
        counts = Counter(names.values())
        repeated = [value for value, name in names.items() if counts[name] > 1]
        told = {value: _group_name(column, value, details) for value in repeated}
        alone = Counter(told.values())
        names |= {v: n for v, n in told.items() if alone[n] == 1 or details[1:]}
    return [names[value] for value in values]


def names_of_groups(groups: Sequence[Mapping[str, Scalar]]) -> list[str]:
    """Groups, given by the same columns, as people say them: the names of their values, joined.

    The first column always speaks. What all groups share is left out (`shared_by_groups` tells it),
    and so are all of what is trained and a readout for each method. Settings of the training are
    told, with their names, of those groups alone that would bear one name without them.
    """
    if not groups[0]:
        return ["all runs"] * len(groups)
    names = _joined(groups, _plain_columns(groups))
    alike: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        alike.setdefault(name, []).append(i)
    for name, places in alike.items():
        if len(places) > 1:
            told = _settings_apart([groups[i] for i in places])
            for i, settings in zip(places, told, strict=True):
                names[i] = ", ".join(filter(None, (name, settings)))
    return names


def title_of_groups(groups: Sequence[Mapping[str, Scalar]]) -> str:
    """What the parts of the names of groups are; see `names_of_groups`."""
    if not groups[0]:
        return ""
    columns = _plain_columns(groups)
    apart = len(set(_joined(groups, columns))) == len(groups)
    return ", ".join([*map(column_label, columns), *([] if apart else [_SETTINGS_TITLE])])


def shared_by_groups(groups: Sequence[Mapping[str, Scalar]]) -> str:
    """What the names of several groups leave out because it is true of all: ``nequip, tiny``."""
    if not groups[0]:
        return ""
    left_out = [
        column
        for column in groups[0]
        if column not in _plain_columns(groups) and not _SETTING.fullmatch(column)
    ]
    return _joined(groups[:1], left_out)[0] if left_out else ""


def told_apart(groups: Sequence[Mapping[str, Scalar]]) -> list[str]:
    """The fewest columns, in order, that a table needs to tell all groups apart."""
    kept = list(groups[0])
    for column in reversed(list(groups[0])[1:]):
        values = {group[column] for group in groups}
        fewer = [other for other in kept if other != column]
        rest = {tuple(group[other] for other in fewer) for group in groups}
        if len(values) == 1 or (_SETTING.fullmatch(column) and len(rest) == len(groups)):
            kept = fewer
    return kept


def with_method_names(text: str) -> str:
    """A sentence with the methods of the paper as people write them: xtb → xTB."""
    return re.sub(r"(?<![\w-])(?:xtb|dft|cc)(?![\w-])", lambda found: _METHODS[found[0]], text)


def _plain_columns(groups: Sequence[Mapping[str, Scalar]]) -> list[str]:
    """Those that speak in the names of all groups: the first, and what differs but settings."""
    first, *others = groups[0]
    return [
        first,
        *(
            column
            for column in others
            if not _SETTING.fullmatch(column)
            and (len(groups) == 1 or len({group[column] for group in groups}) > 1)
        ),
    ]


def _settings_apart(groups: Sequence[Mapping[str, Scalar]]) -> list[str]:
    """Names and values of the settings that tell these groups apart, for each."""
    columns = [c for c in groups[0] if _SETTING.fullmatch(c) and len({g[c] for g in groups}) > 1]
    for column in reversed(columns):
        fewer = [other for other in columns if other != column]
        if len({tuple(group[c] for c in fewer) for group in groups}) == len(groups):
            columns = fewer
    named = [
        [f"{column_label(c)} {v}" for v in group_names(c, [group[c] for group in groups])]
        for c in columns
    ]
    return [", ".join(parts) for parts in zip(*named, strict=True)] or [""] * len(groups)


def _joined(groups: Sequence[Mapping[str, Scalar]], columns: Sequence[str]) -> list[str]:
    named = [group_names(column, [group[column] for group in groups]) for column in columns]
    return [
        (", ".join(filter(None, names)) if is_direct(group) else _indirect(names)) or "alone"
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


def _group_name(column: str, value: Scalar, details: Sequence[str] = ()) -> str:
    if value is None:
        return "missing"
    if value == _DEFAULTS.get(column):
        return ""
    if column.endswith(_BESIDE):
        return "" if value == "none" else f"with {_labels(str(value), details)}"
    if column.endswith("trainable"):
        return _trainable(str(value))
    if column not in _LABELS_COLUMNS:
        return str(value)
    return "none (direct)" if value == "none" else _labels(str(value), details)


def _trainable(value: str) -> str:
    """``readout`` → readout alone, ``freeze_blocks:1`` → freeze blocks 1."""
    return "readout alone" if value == "readout" else value.replace("_", " ").replace(":", " ")


def _labels(text: str, details: Sequence[str]) -> str:
    return _LABELLED_SET.sub(lambda found: _labelled_set(found, details), text).replace(
        " > ", " → "
    )


def _labelled_set(found: re.Match[str], details: Sequence[str]) -> str:
    name = " ".join(filter(None, (_method(found["head"]), found["size"])))
    if not details:
        return name
    words = {"subset": found["subset"], "forces": "forces" if found["forces"] else "no forces"}
    return f"{name} ({', '.join(words[detail] for detail in details)})"


def _method(name: str) -> str:
    return _METHODS.get(name, name)

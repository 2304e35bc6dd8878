"""Identity: equal work is one stage whatever it is called; any other work is another."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mfscale.study import (
    RECIPE,
    Catalogue,
    Head,
    Hyperparameters,
    Model,
    StudyGraph,
    expand,
    parse_study,
)
from mfscale.study.stage import canonical, identity

GraphOf = Callable[[str], StudyGraph]

BASE: dict[str, Any] = {
    "parent_id": None,
    "model": Model(
        architecture="nequip",
        size="toy",
        settings={"num_layers": 2, "parity": False},
        dtype="float32",
        cutoff_a=5.0,
    ),
    "heads": {
        "cc": Head(
            method="cc",
            subset="a",
            size=50,
            n_validation=8,
            forces=False,
            weight=1.0,
            sampling_ratio=None,
            inherit=None,
            digest="00ff",
        )
    },
    "kept": (),
    "trainable": "all",
    "hyperparameters": Hyperparameters(learning_rate=0.01),
    "seed": 0,
}


def with_head(**changes: object) -> dict[str, Any]:
    return {"heads": {"cc": BASE["heads"]["cc"].model_copy(update=changes)}}


def with_model(**changes: object) -> dict[str, Any]:
    return {"model": BASE["model"].model_copy(update=changes)}


def test_the_encoding_has_not_changed_by_accident() -> None:
    """A stage made by hand keeps its id for ever.

    If this fails, every result anyone has stored is orphaned. Should training mean something else
    from now on, raise RECIPE; should a field of a stage be new or gone, that is a change of
    encoding: either way do it knowingly, say so in the CHANGELOG, and write the new id here.
    """
    assert identity(**BASE) == "a8f64348516f89d7"


@pytest.mark.parametrize(
    "change",
    [
        {"parent_id": "f00"},
        {"trainable": "readout"},
        {"seed": 1},
        with_head(digest="00fe"),
        with_head(forces=True),
        with_head(weight=0.5),
        with_head(inherit="dft"),
        {"heads": {"best": BASE["heads"]["cc"]}},
        {"heads": {**BASE["heads"], "dft": BASE["heads"]["cc"]}},
        {"kept": ("dft",)},
        with_model(architecture="mace"),
        with_model(dtype="float64"),
        with_model(cutoff_a=4.5),
        with_model(settings={"num_layers": 3, "parity": False}),
        with_model(settings={"num_layers": 2, "parity": False, "l_max": 1}),
    ],
    ids=str,
)
def test_any_other_work_is_another_stage(change: dict[str, Any]) -> None:
    assert identity(**{**BASE, **change}) != identity(**BASE)


def another(value: object) -> object:
    match value:
        case "cosine" | "mse" | "residuals":
            return {"cosine": "constant", "mse": "huber", "residuals": "labels"}[value]
        case int():
            return value + 1
        case float():
            return value / 2 or 0.5
    raise AssertionError(f"a hyperparameter of a new kind: {value!r}")


EVERYTHING_ACTS: dict[str, Any] = {
    **BASE,
    "parent_id": "f00",
    **with_head(forces=True, inherit="dft"),
    "hyperparameters": Hyperparameters(learning_rate=0.01, loss="huber"),
}
"""A fine-tuning with forces and the Huber loss: no hyperparameter is idle."""


def with_setting(case: dict[str, Any], field: str) -> dict[str, Any]:
    before = case["hyperparameters"].model_dump()
    changed = "mse" if before[field] == "huber" else another(before[field])
    return {**case, "hyperparameters": Hyperparameters(**before | {field: changed})}


@pytest.mark.parametrize("field", Hyperparameters.model_fields)
def test_every_hyperparameter_that_acts_counts(field: str) -> None:
    assert identity(**with_setting(EVERYTHING_ACTS, field)) != identity(**EVERYTHING_ACTS)


@pytest.mark.parametrize("field", ["huber_delta_ev", "force_weight", "offsets", "offset_ridge"])
def test_what_makes_no_difference_does_not_count(field: str) -> None:
    """From scratch, on energies, with squared errors: none of these is ever read."""
    assert identity(**with_setting(BASE, field)) == identity(**BASE)


def test_defaults_belong_to_the_recipe() -> None:
    """Ids leave defaults out, so that a later field does not orphan finished work.

    Hence a default that changes makes old ids mean new work: raise RECIPE when this must change.
    """
    assert RECIPE == 2
    assert Hyperparameters().model_dump() == {
        "learning_rate": None,
        "schedule": "cosine",
        "warmup_steps": 20,
        "final_learning_rate_fraction": 0.01,
        "batch_size": 16,
        "max_steps": 2500,
        "validate_every": 50,
        "patience": 20,
        "loss": "mse",
        "huber_delta_ev": 0.01,
        "energy_weight": 100.0,
        "force_weight": 1.0,
        "ema_decay": 0.99,
        "weight_decay": 0.0,
        "max_gradient_norm": 10.0,
        "offsets": "residuals",
        "offset_ridge": 1e-9,
    }


@pytest.mark.parametrize(
    "change",
    [
        with_model(size="renamed"),
        with_head(method="renamed", subset="c"),
        with_model(settings={"parity": False, "num_layers": 2}),
    ],
    ids=["size", "method and subset", "order of settings"],
)
def test_names_and_order_do_not_count(change: dict[str, Any]) -> None:
    # Labels enter by their content, which subset, size and validation shape already.
    assert identity(**{**BASE, **change}) == identity(**BASE)


def test_sampling_ratios_count_where_there_are_several_heads() -> None:
    head = BASE["heads"]["cc"]
    drawn = head.model_copy(update={"sampling_ratio": 2.0})
    assert identity(**{**BASE, "heads": {"cc": drawn}}) == identity(**BASE)
    two = {**BASE, "heads": {"cc": head, "dft": head}}
    shared = {**BASE, "heads": {"cc": drawn, "dft": drawn}}
    uneven = {**BASE, "heads": {"cc": drawn, "dft": drawn.model_copy(update={"sampling_ratio": 1})}}
    assert len({identity(**case) for case in (two, shared, uneven)}) == 3


TEXT = """
name: first
dataset: toy
model: {architecture: nequip, size: tiny, cutoff_a: 5.0}
training: {energy_weight: 100.0, max_steps: 500}
strategies:
  finetune:
    - heads: {dft: {subset: b, size: 100, weight: 1.0, validation: 8}}
    - heads: {cc: {subset: a, size: 20, validation: 8}}
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: first", "name: second"),
        ("finetune:", "another-name:"),
        ("dataset: toy", "dataset: renamed"),
        ("size: tiny", "size: petite"),
        ("energy_weight: 100.0", "energy_weight: 100"),
        ("energy_weight: 100.0", "energy_weight: 1.0e+2"),
        ("weight: 1.0,", "weight: 1,"),
        ("cutoff_a: 5.0", "cutoff_a: 5"),
        ("{energy_weight: 100.0, max_steps: 500}", "{max_steps: 500, energy_weight: 100.0}"),
        ("{subset: b, size: 100,", "{size: 100, subset: b,"),
        ("model: {architecture: nequip, size: tiny, cutoff_a: 5.0}\n", ""),
        ("max_steps: 500", "max_steps: 500, patience: 20"),
        ("weight: 1.0,", "forces: true,"),
    ],
)
def test_the_same_work_written_differently_is_the_same_stage(
    catalogue: Catalogue, old: str, new: str
) -> None:
    assert old in TEXT
    ids = [
        list(expand(parse_study(text, source=source), catalogue).stages)
        for text, source in ((TEXT, "here/a.yaml"), (TEXT.replace(old, new), "there/b.yaml"))
    ]
    assert ids[0] == ids[1]


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("size: tiny", "size: large", 0),
        ("architecture: nequip", "architecture: mace", 0),
        ("cutoff_a: 5.0", "cutoff_a: 5.0, dtype: float64", 0),
        ("max_steps: 500", "max_steps: 501", 0),
        ("name: first", "seed: 1", 0),
        ("name: first", "data_seed: 1", 0),
        ("name: first", "split: molecule", 0),
        ("size: 100", "size: 101", 0),
        ("weight: 1.0,", "forces: false,", 0),
        ("size: 20", "size: 21", 1),
        ("{cc: {subset: a", "{dft: drop, cc: {inherit: fresh, subset: a", 1),
        ("size: 20, validation: 8", "size: 20, validation: 9", 1),
    ],
)
def test_other_work_shares_no_more_than_what_comes_before_it(
    catalogue: Catalogue, old: str, new: str, same: int
) -> None:
    assert old in TEXT
    first, second = (
        expand(parse_study(text, source="s"), catalogue).stages.keys()
        for text in (TEXT, TEXT.replace(old, new, 1))
    )
    assert len(first & second) == same


def test_corrected_labels_are_other_stages(catalogue: Catalogue, other_labels: Catalogue) -> None:
    study = parse_study(TEXT, source="s")
    assert not expand(study, catalogue).stages.keys() & expand(study, other_labels).stages.keys()


def test_a_new_size_on_the_ladder_changes_no_stage(catalogue: Catalogue) -> None:
    sizes = {**catalogue.models["nequip"], "huge": catalogue.models["nequip"]["large"]}
    longer = replace(catalogue, models={**catalogue.models, "nequip": sizes})
    study = parse_study(TEXT, source="s")
    assert expand(study, catalogue).stages.keys() == expand(study, longer).stages.keys()


def test_a_stage_survives_the_way_to_a_worker(catalogue: Catalogue) -> None:
    for stage in expand(parse_study(TEXT, source="s"), catalogue).stages.values():
        again = type(stage).model_validate_json(stage.model_dump_json())
        assert again == stage
        asked = {key: getattr(again, key) for key in BASE}
        assert identity(**asked) == stage.id


def test_a_stage_cannot_be_changed(catalogue: Catalogue) -> None:
    stage = next(iter(expand(parse_study(TEXT, source="s"), catalogue).stages.values()))
    with pytest.raises(ValidationError, match="frozen"):
        stage.seed = 3


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def reordered(value: Any) -> Any:  # noqa: ANN401 - plain values
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(list(value))}
    return [reordered(item) for item in value] if isinstance(value, list) else value


@given(PLAIN)
def test_plain_data_is_encoded_without_loss_and_whatever_the_order(value: object) -> None:
    encoded = canonical(value)
    assert encoded.isascii()
    assert json.loads(encoded) == value
    assert canonical(reordered(value)) == encoded


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        -float("inf"),
        b"bytes",
        {1, 2},
        object(),
        1j,
        {1: "a key that is no text"},
        hashlib.sha256(),
    ],
    ids=lambda value: repr(value).partition(" at 0x")[0].partition(" @ 0x")[0],
)
def test_what_has_no_stable_encoding_is_refused(value: object) -> None:
    for nested in (value, [value], {"a": {"b": (value,)}}):
        with pytest.raises(TypeError, match="no stable encoding"):
            canonical(nested)


def test_a_model_setting_that_is_no_finite_number_has_no_identity() -> None:
    with pytest.raises(TypeError, match="no stable encoding"):
        identity(**{**BASE, **with_model(settings={"num_layers": float("nan")})})

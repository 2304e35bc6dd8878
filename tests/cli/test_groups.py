"""Laws of a store part what is not alike: differences from totals, embeddings from readouts."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from mfscale.results import Store
from tests.cli.conftest import answer, run_one

Call = Callable[..., Result]

HEAD = "name: groups\ndataset: chno3\ntraining: {max_steps: 2, validate_every: 1, batch_size: 8}\n"
SIZES = "subset: a, size: [8, 16, 32, 64], validation: 8"
STUDIES = {
    "cc_minus": HEAD
    + f"strategies: {{totals: [{{heads: {{cc: {{{SIZES}}}}}}}], "
    + f"difference: [{{heads: {{cc: {{{SIZES}, minus: xtb}}}}}}]}}\n",
    "fidelity": HEAD
    + "model: {fidelity: [readout, embedding]}\n"
    + f"strategies: {{direct: [{{heads: {{cc: {{{SIZES}}}}}}}]}}\n",
}


@pytest.mark.parametrize("column", STUDIES)
def test_what_is_not_alike_is_not_one_group(call: Call, tmp_path: Path, column: str) -> None:
    from mfscale.cli.study import expand_file

    study = tmp_path / "study.yaml"
    study.write_text(STUDIES[column])
    store = Store(tmp_path / "store", create=True)
    for stage in expand_file(study, store.path).stages.values():
        assert run_one(stage, store)["status"] == "finished"
    groups = [fit["group"] for fit in answer(call("fit", "--store", store.path, "--json"))]
    assert len(groups) == len({group[column] for group in groups}) == 2


def test_what_a_tuning_chose_parts_no_group(call: Call, archive: Path) -> None:
    """Direct training and fine-tuning have rates of their own; one tuning chose both fairly."""
    fits = answer(call("fit", "--law", "power", "--store", archive, "--json"))
    groups = [fit["group"] for fit in fits]
    tuned = [group for group in groups if group["tuning"] == "embedded"]
    assert tuned
    assert all(group["hp_learning_rate"] is None for group in tuned)
    untuned = [group for group in groups if group["tuning"] is None]
    assert all(group["hp_learning_rate"] is not None for group in untuned)


def test_many_groups_are_told_apart_by_few_columns(call: Call, archive: Path) -> None:
    said = call("invert", "--error", 200, "--where", "architecture=mace", "--store", archive).output
    header = said.splitlines()[1]
    assert "pretraining" in header
    assert "hp_" not in header
    assert "architecture" not in header


def test_many_warnings_alike_are_counted(call: Call, archive: Path) -> None:
    result = call("invert", "--error", 200, "--store", archive)
    assert "warning unconverged: and so in" in result.stderr
    assert len(result.stderr.splitlines()) < 40

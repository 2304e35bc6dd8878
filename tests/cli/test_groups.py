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

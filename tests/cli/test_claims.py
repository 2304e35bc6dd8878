"""``claims`` on a store of really trained stages, and on bad input."""

from collections.abc import Callable
from pathlib import Path

from click.testing import Result

from mfscale.results import Store
from tests.cli.conftest import Command, answer, assert_one_message

Call = Callable[..., Result]


def test_claims_of_two_checkpoints_are_undecided(call: Call, store: Store) -> None:
    result = call("claims", "--store", store.path)
    assert result.stderr == ""
    shown = result.stdout
    assert shown.count("UNDECIDED") == 8
    assert "too few independent checkpoints (2; 3 needed)" in shown
    assert "error × " in shown
    assert "2 independent checkpoints" in shown
    assert "a study would need" in shown
    assert "(--rows lists them)" in shown


def test_rows_are_listed(call: Call, store: Store) -> None:
    shown = call("claims", "--store", store.path, "--rows").stdout
    frame = store.frame()
    tuned = frame[frame["step"] == 1]
    assert all(stage in shown for stage in tuned["stage_id"])


def test_claims_as_data(call: Call, store: Store) -> None:
    found = answer(call("claims", "--store", store.path, "--json"))
    assert [claim["claim"] for claim in found] == list(range(1, 9))
    first = found[0]["parts"][0]
    assert (first["part"], first["budget"]) == ("a", "equal caps")
    assert first["n_pairs"] == len(first["treatments"]) == 7  # one of eight was not trained
    assert first["n_clusters"] == 2
    assert first["low"] is None
    assert found[0]["verdicts"] == dict.fromkeys(
        ("equal caps", "matched total compute"), "undecided"
    )


def test_claims_of_one_study(call: Call, store: Store, study_file: Path) -> None:
    found = answer(call("claims", "--store", store.path, "--study", study_file, "--json"))
    assert found[0]["parts"][0]["n_pairs"] == 7


def test_figure(call: Call, store: Store, tmp_path: Path) -> None:
    shown = call("claims", "--store", store.path, "--out", tmp_path / "claims.pdf")
    assert (tmp_path / "claims.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "claims.png").exists()
    assert "claims.pdf" in shown.stdout


def test_a_stage_without_errors_is_told(call: Call, copied: Store) -> None:
    for path in (copied.path / "errors").iterdir():
        path.unlink()
    shown = call("claims", "--store", copied.path)
    assert "no test errors structure by structure" in shown.stdout
    assert "warning: the store has no errors of stage" in shown.stderr
    assert "more such messages" in shown.stderr


def test_bad_input(mfscale_here: Command, store: Store, tmp_path: Path) -> None:
    assert_one_message(
        mfscale_here("claims", "--store", tmp_path / "none"), "is not a results store"
    )
    unknown = mfscale_here("claims", "--store", store.path, "--target", "ccsd")
    assert_one_message(unknown, "'ccsd'", "--target")
    Store(tmp_path / "empty", create=True)
    assert_one_message(mfscale_here("claims", "--store", tmp_path / "empty"), "no stage")

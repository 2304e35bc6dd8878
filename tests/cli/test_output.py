"""Tables and JSON of many rows say what those of few rows say, and no warning is said twice."""

import json

import pandas as pd
import pytest

from mfscale.cli import _output, _running


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "name": [f"stage {i} [x]" for i in range(25)],
            "error": [1e5 / (i + 1) if i % 7 else float("nan") for i in range(25)],
            "seed": range(25),
            "kept": [i % 2 == 0 for i in range(25)],
        }
    )


def test_a_long_table_is_printed_as_a_short_one(
    frame: pd.DataFrame, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _output.print_frame(frame)
    short = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    monkeypatch.setattr(_output, "_MANY", 10)
    _output.print_frame(frame)
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == short


@pytest.mark.parametrize("rows", [0, 1, 10, 11, 20, 25])
def test_many_records_are_one_list(
    frame: pd.DataFrame,
    rows: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _output.print_json(frame.head(rows).to_dict(orient="records"))
    at_once = capsys.readouterr().out
    monkeypatch.setattr(_output, "_MANY", 10)
    _output.print_records(frame.head(rows))
    in_parts = capsys.readouterr().out
    assert json.loads(in_parts) == json.loads(at_once)
    assert len(json.loads(in_parts)) == rows


def test_a_warning_that_stages_share_is_said_once() -> None:
    warnings = ["a1: slow: no kernel", "b2: worse than offsets", "c3: slow: no kernel", "disk full"]
    told = ["a1 and 1 more: slow: no kernel", "b2: worse than offsets", "disk full"]
    assert _running._each_once(warnings) == told  # noqa: SLF001
    assert _running._each_once(warnings[1:]) == warnings[1:]  # noqa: SLF001

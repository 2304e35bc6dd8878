"""``claims``: what a store says of the eight claims of multi-fidelity training."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfscale.cli._options import DEFAULT_STORE, JsonOption, StoreOption, StudyOption
from mfscale.cli._output import console, print_json, stderr

if TYPE_CHECKING:
    import pandas as pd

    from mfscale.claims import ClaimResult
    from mfscale.results import Store


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(claims)


def claims(
    store: StoreOption = DEFAULT_STORE,
    study: StudyOption = None,
    target: Annotated[
        str, typer.Option("--target", help="Head whose test error the claims are about.")
    ] = "cc",
    rows: Annotated[
        bool, typer.Option("--rows", help="List the stages that each answer rests on.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Draw all effects into this file, as PNG and PDF."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Tell which claims of multi-fidelity training a store supports, contradicts or leaves open.

    Runs are compared that are equal in all but what the claim is about, at equal caps on training
    and, apart from that, at matched total compute. Intervals count pre-trained checkpoints, not
    runs, and include the noise of the finite test set.
    """
    from mfscale.claims import assess, report
    from mfscale.cli.results import study_rows
    from mfscale.results import Store

    opened = Store(store)
    errors = ErrorsOf(opened)
    found = assess(study_rows(opened, study), errors, target=target)
    for message in errors.told():
        stderr.print(f"warning: {message}", soft_wrap=True)
    written = _draw(found, out) if out is not None else []
    if json:
        print_json([_as_data(claim) for claim in found])
    else:
        console.print(report(found, rows=rows), soft_wrap=True)
        for path in written:
            console.print(str(path), soft_wrap=True)


class ErrorsOf:
    """Test errors of the stages of a store; an empty table, and a message kept, if unreadable."""

    def __init__(self, store: "Store") -> None:
        self._store = store
        self._failures: list[str] = []

    def __call__(self, stage_id: str) -> "pd.DataFrame":
        """One row per structure, head and method."""
        import pandas as pd

        from mfscale.results import StoreError

        try:
            table: pd.DataFrame = self._store.errors(stage_id).to_pandas()
        except StoreError as error:
            self._failures.append(str(error))
            return pd.DataFrame()
        return table

    def told(self) -> list[str]:
        """The first failure, if any, and how many more there are."""
        if not self._failures:
            return []
        more = len(self._failures) - 1
        return [self._failures[0] + (f" (and {more} more such messages)" if more else "")]


def _draw(found: "tuple[ClaimResult, ...]", out: Path) -> list[Path]:
    from mfscale.report import save
    from mfscale.report.claims import effects_of_claims

    stem = out.with_suffix("") if out.suffix in {".png", ".pdf"} else out
    return list(save(effects_of_claims(found), stem))


def _as_data(claim: "ClaimResult") -> dict[str, object]:
    return {
        "claim": claim.number,
        "statement": claim.statement,
        "verdicts": claim.verdicts,
        "parts": [asdict(part) for part in claim.parts],
    }

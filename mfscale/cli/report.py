"""``report``: a store as one interactive page."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfscale.cli import _analysis
from mfscale.cli._options import DEFAULT_STORE, JsonOption, StoreOption, StudyOption
from mfscale.cli._output import console, print_json, size, stderr

if TYPE_CHECKING:
    import pandas as pd

    from mfscale.claims import ClaimResult
    from mfscale.report.page import FittedLaws
    from mfscale.results import Store

_LAWS = (_analysis.POWER, _analysis.LINE)


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(report)


def report(
    store: StoreOption = DEFAULT_STORE,
    study: StudyOption = None,
    target: Annotated[str, typer.Option("--target", help="Head whose test error is meant.")] = "cc",
    out: Annotated[Path, typer.Option("--out", help="The HTML file.")] = Path("report.html"),
    hold_out: Annotated[
        bool,
        typer.Option(
            "--hold-out",
            help="Fit power laws without the most labels of each group, and show those runs apart.",
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Write a store as one HTML page to look around in: laws, claims, learning curves, stages.

    The page needs no network and no server: open it in a browser, or send it to someone.
    """
    from mfscale.cli._tuned import choices_of, without_tuned
    from mfscale.cli.results import study_rows
    from mfscale.report.page import Contents, write_page
    from mfscale.results import Store, StoreError

    opened = Store(store)
    frame = study_rows(opened, study)
    if not (frame["purpose"] == "science").any():
        raise StoreError(f"no stage to report in {store}; run a study, or name another --store")
    laws, notes = _laws(without_tuned(frame, choices_of(opened, study)), target, hold_out=hold_out)
    claims, more = _claims(opened, frame, target)
    curves = _CurveOf(opened)
    name = opened.address.rpartition("/")[2] + (f", {study.name}" if study else "")
    contents = Contents(
        name=name,
        target=target,
        frame=frame,
        laws=laws,
        claims=claims,
        curve_of=curves,
        notes=[*notes, *more],
    )
    write_page(contents, out)
    for failure in curves.failures:
        stderr.print(f"warning: {failure}", soft_wrap=True)
    n_bytes = out.stat().st_size
    if json:
        stages = int((frame["purpose"] == "science").sum())
        found = {"file": str(out), "bytes": n_bytes, "stages": stages}
        print_json({**found, "laws": sum(len(each.fits) for each in laws), "notes": contents.notes})
        return
    console.print(f"{out} ({size(n_bytes)})", soft_wrap=True)


def _laws(
    frame: "pd.DataFrame", target: str, *, hold_out: bool
) -> "tuple[list[FittedLaws], list[str]]":
    """Both laws, as far as the rows answer, and why one is missing."""
    from mfscale.cli import _held_out
    from mfscale.report.page import FittedLaws
    from mfscale.scaling import FitError

    found, reasons = [], []
    for law in _LAWS:
        try:
            asked, held_out = _analysis.of_store(frame, law, target), None
            if hold_out and law == _analysis.POWER:
                asked, held_out, note = _held_out.hold_out(asked)
                reasons += [f"error against labels leaves out: {note}"] if note else []
            fits = asked.fit(0.95)
        except FitError as error:
            if hold_out and law == _analysis.POWER:
                raise FitError(f"--hold-out: {error}") from error
            reasons.append(f"left out: {error}")
            continue
        found.append(
            FittedLaws(
                law=law,
                frame=asked.frame,
                x=asked.x,
                y=asked.y,
                group=asked.group,
                fits=fits,
                held_out=held_out,
            )
        )
    return found, reasons


def _claims(
    store: "Store", frame: "pd.DataFrame", target: str
) -> "tuple[tuple[ClaimResult, ...], list[str]]":
    from mfscale.claims import ClaimsError, assess
    from mfscale.cli.claims import ErrorsOf

    errors = ErrorsOf(store)
    try:
        found = assess(frame, errors, target=target)
    except ClaimsError as error:
        return (), [f"claims are left out: {error}"]
    return found, errors.told()


class _CurveOf:
    """Learning curves of the stages of a store; what cannot be read is kept as a message."""

    def __init__(self, store: "Store") -> None:
        self._store = store
        self.failures: list[str] = []

    def __call__(self, stage_id: str) -> "pd.DataFrame | None":
        """The curve, or None if there is none to read."""
        from mfscale.results import StoreError

        there = self._store.place.exists(f"curves/{stage_id}.parquet")
        try:
            curve: pd.DataFrame = self._store.curve(stage_id).to_pandas()
        except StoreError as error:
            if there:
                self.failures.append(str(error))
            return None
        return curve

"""``data label``: label structures of a dataset by quantum chemistry."""

import math
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfscale.cli._options import JsonOption
from mfscale.cli._output import console, duration, print_json, stderr
from mfscale.cli._running import BY_SIGNAL, LOCAL_RAY, CpusOption, RayOption

if TYPE_CHECKING:
    from mfscale.data.labelling import LabelProgress


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(label)


def label(
    name: Annotated[
        str,
        typer.Argument(
            help="A dataset, or structures without labels: extended XYZ (.xyz, .extxyz).",
            show_default=False,
        ),
    ],
    method: Annotated[
        str,
        typer.Option(
            "--method",
            help="gfn1-xtb, gfn2-xtb, FUNCTIONAL/BASIS as PySCF names them (wb97x/6-31g(d)), "
            "ccsd(t)/BASIS, or an ASE calculator (package.module:Class).",
            show_default=False,
        ),
    ],
    options: Annotated[
        str,
        typer.Option("--options", help="Settings of the method or calculator, a JSON object."),
    ] = "{}",
    as_: Annotated[
        str | None,
        typer.Option(
            "--as", help="What the labels are called there.", show_default="xtb, dft, cc or ase"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="A new folder for the dataset with its labels.",
            show_default="in the dataset's own folder",
        ),
    ] = None,
    subset: Annotated[
        list[str] | None,
        typer.Option("--subset", help="Only structures of this subset; repeat for more."),
    ] = None,
    labelled_by: Annotated[
        str | None, typer.Option("--with", help="Only structures that this method has labelled.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="At most so many structures, in order.")
    ] = None,
    cost: Annotated[
        str | None,
        typer.Option(
            "--cost",
            help="Of a label, a number (cc = 1000), or measured: its processor time, relative to "
            "that of another method labelled here.",
            show_default="1, 100, 1000 for xtb, dft, cc",
        ),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try structures again that failed.")
    ] = False,
    cpus: CpusOption = None,
    ray_address: RayOption = LOCAL_RAY,
    json: JsonOption = False,
) -> None:
    """Label structures with a method, one on each core, and add the labels to the dataset.

    Labels are kept as they come: after Ctrl-C or a kill the same command goes on. A structure that
    cannot be labelled is recorded with the reason. Exit status: 1 if there is no label at all, 130
    after Ctrl-C.
    """
    from mfscale.data.labelling import Wanted, label_dataset, parse_level, place_of
    from mfscale.orchestration import Spread

    level = parse_level(method, options)
    called = as_ or level.usual_name
    spread = Spread(cpus, address=ray_address, on_stop=_say_stopping)
    with place_of(name, called, out) as place, _shown(quiet=json) as progress:
        report = label_dataset(
            place,
            level,
            wanted=Wanted(subsets=subset or (), labelled_by=labelled_by, limit=limit),
            cost=_cost(cost),
            retry_failed=retry_failed,
            spread=spread,
            progress=progress,
        )
    if json:
        print_json(report.to_dict())
    else:
        console.print(report.to_text(), soft_wrap=True)
    if spread.stopped_by and report.path is None:
        stderr.print("Interrupted: the same command goes on.", soft_wrap=True)
        sys.exit(BY_SIGNAL + spread.stopped_by)
    if not report.labelled:
        sys.exit(1)


def _cost(text: str | None) -> float | str | None:
    if text is None or text == "measured":
        return text
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise typer.BadParameter(
            f"{text!r} is neither a positive number nor 'measured'", param_hint="--cost"
        )
    return number


def _say_stopping(number: int) -> None:
    what = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
    stderr.print(f"{what}: labels so far are kept …", soft_wrap=True)


@contextmanager
def _shown(*, quiet: bool) -> Iterator[Callable[["LabelProgress"], None]]:
    """A bar on standard error with the rate and the time left; in a pipe a line now and then."""
    if quiet:
        yield lambda _: None
        return
    if not stderr.is_terminal:
        yield _line_at_each_tenth()
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    bar = Progress(
        BarColumn(bar_width=24),
        TextColumn("{task.completed:.0f}/{task.total:.0f} structures{task.fields[state]}"),
        TimeElapsedColumn(),
        console=stderr,
        transient=True,
    )
    with bar:
        task = bar.add_task("", total=None, state="")
        yield lambda p: bar.update(task, completed=p.done, total=p.total, state=_state(p))


def _line_at_each_tenth() -> Callable[["LabelProgress"], None]:
    said = -1

    def say(progress: "LabelProgress") -> None:
        nonlocal said
        tenth = 10 * progress.done // max(progress.total, 1)
        if tenth > said:
            said = tenth
            done = f"{progress.done}/{progress.total} structures"
            stderr.print(done + _state(progress), soft_wrap=True)

    return say


def _state(progress: "LabelProgress") -> str:
    parts = [f"{progress.failed} failed"] if progress.failed else []
    if progress.per_second:
        parts.append(f"{progress.per_second:.3g}/s")
    if progress.left_s:
        parts.append(f"about {duration(progress.left_s)} left")
    return "".join(f", {part}" for part in parts)

"""The live line of a run: stages done, running and failed; structures per second; time left."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from mfscale.cli._output import duration, stderr
from mfscale.orchestration import Progress


@contextmanager
def shown(total: int, *, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """Show progress on standard error while the block runs.

    A terminal gets a live bar; a file or pipe gets a line whenever a stage ends.
    """
    if quiet:
        yield lambda _: None
        return
    if not stderr.is_terminal:
        yield _Lines()
        return
    bar = Bar(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.completed:.0f}/{task.total:.0f} stages"),
        TextColumn("{task.fields[state]}"),
        TimeElapsedColumn(),
        console=stderr,
        transient=True,
    )
    with bar:
        task = bar.add_task("", total=total, state="starting workers")
        yield lambda p: bar.update(
            task, completed=p.ended, state=f"{p.running} running, {describe(p)}"
        )


class _Lines:
    """One line per ended stage."""

    def __init__(self) -> None:
        self._ended = -1

    def __call__(self, progress: Progress) -> None:
        if progress.ended > max(self._ended, progress.cached):
            done = f"{progress.ended}/{progress.total} stages done"
            stderr.print(f"{done}, {describe(progress)}", soft_wrap=True)
        self._ended = progress.ended


def describe(progress: Progress) -> str:
    """What has gone wrong, how fast it goes, how long it will take."""
    parts = [f"{progress.failed} failed"]
    parts += [
        f"{count} {name}"
        for name, count in (("diverged", progress.diverged), ("skipped", progress.skipped))
        if count
    ]
    if progress.structures_per_second is not None:
        parts.append(f"{progress.structures_per_second:,.0f} structures/s")
    if progress.ended < progress.total:
        parts.append(f"about {duration(progress.left_s)} left")
    return ", ".join(parts)

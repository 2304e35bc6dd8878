"""The live line of a run: stages done, running and failed; structures per second; time left."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.text import Text

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
        _TimeLeft(),
        TimeElapsedColumn(),
        console=stderr,
        transient=True,
    )
    with bar:
        task = bar.add_task("", total=total, state="starting workers,", done_at=None)
        yield lambda p: bar.update(
            task,
            completed=p.ended,
            total=p.total,
            state=f"{p.running} running, {describe(p)},",
            done_at=time.monotonic() + p.left_s,
        )


class _TimeLeft(ProgressColumn):
    """Counts down between one report of the driver and the next."""

    def render(self, task: Task) -> Text:
        """About how long until all stages are done."""
        if task.fields["done_at"] is None or task.finished:
            return Text()
        left = max(0.0, task.fields["done_at"] - time.monotonic())
        return Text(f"about {duration(left)} left,")


class _Lines:
    """One line per ended stage."""

    def __init__(self) -> None:
        self._ended = -1

    def __call__(self, progress: Progress) -> None:
        if progress.ended > max(self._ended, progress.cached):
            done = f"{progress.ended}/{progress.total} stages done"
            left = f", about {duration(progress.left_s)} left" if progress.left_s else ""
            stderr.print(f"{done}, {describe(progress)}{left}", soft_wrap=True)
        self._ended = progress.ended


def describe(progress: Progress) -> str:
    """What has gone wrong, and how fast it goes."""
    parts = [f"{progress.failed} failed"]
    parts += [
        f"{count} {name}"
        for name, count in (("diverged", progress.diverged), ("skipped", progress.skipped))
        if count
    ]
    if progress.structures_per_second is not None:
        parts.append(f"{progress.structures_per_second:,.0f} structures/s")
    return ", ".join(parts)

"""How a run stands, as plain data: what the driver tells whoever shows it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """A snapshot of a run.

    Attributes
    ----------
    total
        Stages of the study.
    cached
        Finished before this run.
    finished, diverged, failed, skipped, running
        In this run.
    structures_per_second
        Training structures of all slots together since the first stage started; None before any
        stage has ended.
    left_s
        Estimated seconds to the end, corrected by how long the ended stages have taken.
    """

    total: int
    cached: int = 0
    finished: int = 0
    diverged: int = 0
    failed: int = 0
    skipped: int = 0
    running: int = 0
    structures_per_second: float | None = None
    left_s: float = 0.0

    @property
    def ended(self) -> int:
        """Stages that need nothing more, cached ones included."""
        return self.cached + self.finished + self.diverged + self.failed + self.skipped

"""Structures to be labelled, handed out in pieces of about as much work."""

from collections import deque
from collections.abc import Iterable, Sequence

from mfscale.data.dataset import Dataset
from mfscale.data.labelling.level import Numbers, Positions
from mfscale.data.labelling.outcome import DIED, Outcome, Piece

_WORK_S = 10.0
"""Of a piece: what a crash may cost; starting one and writing its labels is little beside it."""

_MOST = 2000


class Pieces:
    """Hands out each structure once, a dead worker's one at a time again.

    Parameters
    ----------
    dataset
        Which they are of.
    structures
        Their indices.

    Attributes
    ----------
    cpu_s, n_labels
        Processor time of what came back so far, and how many labels that was.
    """

    def __init__(self, dataset: Dataset, structures: Iterable[int]) -> None:
        self._dataset = dataset
        self._waiting = deque(structures)
        self._suspect: deque[int] = deque()
        self.cpu_s = 0.0
        self.n_labels = 0
        self._ended = 0

    def take(self) -> Piece | None:
        """The next piece, or None if none is waiting."""
        if self._suspect:
            return [self._structure(self._suspect.popleft())]
        mean = self.cpu_s / self._ended if self._ended else _WORK_S
        size = max(1, min(_MOST, int(_WORK_S / max(mean, 1e-9)), 1 + 10 * self._ended))
        taken = [self._waiting.popleft() for _ in range(min(size, len(self._waiting)))]
        return [self._structure(index) for index in taken] or None

    def give(self, piece: Piece, outcomes: Sequence[Outcome] | None) -> Sequence[Outcome]:
        """Take a piece's outcomes in, None if its worker died; those that are settled."""
        if outcomes is None:
            if len(piece) > 1:
                self._suspect.extend(index for index, _, _ in piece)
                return ()
            outcomes = [Outcome(structure=piece[0][0], label=None, reason=DIED)]
        self._ended += len(outcomes)
        self.cpu_s += sum(outcome.cpu_s for outcome in outcomes)
        self.n_labels += sum(outcome.label is not None for outcome in outcomes)
        return outcomes

    def _structure(self, index: int) -> tuple[int, Numbers, Positions]:
        atoms = self._dataset.structure(index)
        return index, atoms.numbers, atoms.positions

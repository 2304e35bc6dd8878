"""Work spread over a real Ray: all comes back, a worker that dies is told, errors are ours."""

import os
from collections import deque

import pytest

from mfscale.orchestration import OrchestrationError, Spread
from mfscale.study import StudyError


@pytest.mark.slow
def test_every_piece_comes_back_once() -> None:
    def square(piece: int) -> int:
        if piece == 3:
            os._exit(1)
        if piece < 0:
            raise StudyError(f"{piece} is negative")
        return piece**2

    waiting = deque(range(8))
    again: list[int] = []
    results = {}
    for piece, result in Spread(2)(square, lambda: waiting.popleft() if waiting else None):
        if result is None:
            again.append(piece)
            waiting.append(10)  # handed out, though nothing was waiting before
        results[piece] = result
    assert again == [3]
    assert results == {k: None if k == 3 else k**2 for k in (*range(8), 10)}
    negative = deque([-1])
    with pytest.raises(StudyError, match="-1 is negative"):
        list(Spread(1)(square, lambda: negative.popleft() if negative else None))


def test_no_cores_are_too_few() -> None:
    with pytest.raises(OrchestrationError, match="at least --cpus 1"):
        Spread(0)

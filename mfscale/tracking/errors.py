"""What this room tells its user."""

import re
from collections.abc import Iterator
from contextlib import contextmanager


class TrackingError(ValueError):
    """A tracker is not installed, not logged in, or refuses; the message names the remedy."""


@contextmanager
def told_by(tracker: str) -> Iterator[None]:
    """Raise whatever goes wrong in a tracker's package as a TrackingError of one line."""
    try:
        yield
    except TrackingError:
        raise
    except Exception as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise TrackingError(without_secrets(f"{tracker}: {said[:300]}")) from error


def without_secrets(text: str) -> str:
    """Leave out the user and password of addresses, ``https://user:password@host``."""
    return re.sub(r"(?<=://)[^/@\s]+@", "", text)

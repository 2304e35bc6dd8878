"""What every test shares: a cache of its own, so that nobody's home is read or written."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep neighbour graphs in a folder of this session."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MFSCALE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield

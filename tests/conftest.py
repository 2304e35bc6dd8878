"""What every test shares: a cache of its own, so that nobody's home is read or written; S3."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.buckets import ENVIRONMENT, new_bucket, serving


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep neighbour graphs in a folder of this session."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MFSCALE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def s3_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the S3 server notes each request."""
    return tmp_path_factory.mktemp("s3") / "log"


@pytest.fixture(scope="session")
def s3(s3_log: Path) -> Iterator[str]:
    """The address of a local S3 server, once a session."""
    with serving(s3_log) as address:
        yield address


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The URL of a new bucket, which this process and those it starts may use."""
    for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": s3}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    return f"s3://{new_bucket(s3)}"

"""A local S3 server (moto's), in a process of its own, and buckets on it."""

import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import pytest

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIATEST",
    "AWS_SECRET_ACCESS_KEY": "a-key-that-nobody-may-see",
    "AWS_REGION": "us-east-1",
}


def moto_server() -> str:
    """The program: of MOTO_SERVER, or on the path; without it the test is skipped."""
    found = os.environ.get("MOTO_SERVER") or shutil.which("moto_server")
    if found is None:
        pytest.skip("no moto_server here, nor in MOTO_SERVER; see docs/stores.md")
    return found


@contextmanager
def serving(log: Path) -> Iterator[str]:
    """Serve S3 on a free port of this machine while the block runs; yields the address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [moto_server(), "-H", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file) as server:
        try:
            address = f"http://127.0.0.1:{port}"
            for _ in range(300):
                with suppress(urllib.error.URLError):
                    urllib.request.urlopen(address)
                    break
                time.sleep(0.1)
            yield address
        finally:
            server.terminate()


def new_bucket(address: str) -> str:
    """Make a bucket; its name."""
    name = f"bucket-{uuid4().hex[:12]}"
    asked(f"{address}/{name}", "PUT")
    return name


def asked(url: str, method: str, body: bytes | None = None) -> None:
    """Send the server a request of no account."""
    request = urllib.request.Request(url, body, {"Content-Type": "text/plain"}, method=method)  # noqa: S310 - http
    urllib.request.urlopen(request)  # noqa: S310 - likewise

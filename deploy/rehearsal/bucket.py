"""A bucket on the laptop that the hosts of a rehearsal reach: moto's server, as for the tests."""

import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

PORT = 5000


def server() -> str | None:
    """The programme: of MOTO_SERVER, or on the path."""
    return os.environ.get("MOTO_SERVER") or shutil.which("moto_server")


def serve(url: str, address: str, log: Path) -> dict[str, str]:
    """Start the server with the bucket of `url`; the environment that its users need."""
    endpoint = f"http://{address}:{PORT}"
    subprocess.Popen(  # noqa: S603 - ends with the laptop's namespaces
        [server() or "moto_server", "-H", address, "-p", str(PORT)],
        stdout=log.open("wb"),
        stderr=subprocess.STDOUT,
    )
    for _ in range(300):
        with suppress(urllib.error.URLError):
            urllib.request.urlopen(endpoint)
            break
        time.sleep(0.2)
    bucket = urlsplit(url).netloc
    made = urllib.request.Request(f"{endpoint}/{bucket}", method="PUT")  # noqa: S310 - our own
    urllib.request.urlopen(made)  # noqa: S310 - our own
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "AKIAREHEARSAL",
        "AWS_SECRET_ACCESS_KEY": "of-no-value",
        "AWS_REGION": "us-east-1",
    }


def fetch(url: str, part: str, folder: Path) -> None:
    """Copy the objects below `part` of a store into a folder."""
    from obstore.store import from_url

    os.environ.setdefault("AWS_ALLOW_HTTP", "true")
    folder.mkdir(parents=True)
    store = from_url(f"{url}/{part}", client_options={"allow_http": True})
    for batch in store.list():
        for entry in batch:
            (folder / Path(entry["path"]).name).write_bytes(store.get(entry["path"]).bytes())

"""``store.json``: what makes a folder a store, the format of it, and whether it is an archive."""

import json

from mfscale.results.errors import StoreError
from mfscale.results.schema import FORMAT

MARKER = "store.json"


def marker(*, archive: bool = False) -> bytes:
    """The content of a new store's marker."""
    content = {"format": FORMAT} | ({"archive": True} if archive else {})
    return json.dumps(content).encode() + b"\n"


def is_archive(where: str, content: bytes) -> bool:
    """Tell from a marker's content whether its store is only to be read.

    Raises
    ------
    StoreError
        If the marker is damaged, or of a newer format.
    """
    try:
        said = json.loads(content)
        version = said["format"]
    except (ValueError, TypeError, KeyError, RecursionError):
        version = None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise StoreError(f'{where} is damaged; write {{"format": {FORMAT}}} into it')
    if version > FORMAT:
        raise StoreError(
            f"{where} is of format {version}, and this mfscale reads up to {FORMAT}: "
            "upgrade mfscale"
        )
    return bool(said.get("archive"))

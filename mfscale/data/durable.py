"""Files that outlive a power cut, there whole or not at all."""

import os
import uuid
from pathlib import Path


def write_whole(file: Path, content: bytes) -> None:
    """Write all of a file or none of it, over what is there."""
    beside = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
    try:
        with beside.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file's content, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

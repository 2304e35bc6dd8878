"""Where compiled code lies for the processes to come; without torch, for a driver asks too."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib.metadata import version
from pathlib import Path

from mfscale.data import cache_directory
from mfscale.study import Stage

CODE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
"""Where torch keeps compiled code. It runs what it finds there, so nobody else may write there."""
_OTHERS = 0o022


class Artefacts:
    """The compiled code of one kind of network, shared by all processes of this user and machine.

    Torch keeps the code itself, by content, in one folder for all kinds; beside it lie a lock for
    each kind, so that processes that start together compile once, and a mark once it is there.

    Parameters
    ----------
    kind
        Equal for networks whose code is the same.
    folder
        By default in the user's cache directory.
    """

    def __init__(self, kind: str, folder: Path | None = None) -> None:
        self.folder = folder or cache_directory() / "compiled"
        key = f"{version('torch')} {kind}".encode()
        self._mark = self.folder / f"{hashlib.sha256(key).hexdigest()[:16]}.made"

    @property
    def are_there(self) -> bool:
        """Whether some process has compiled this kind."""
        return self._mark.exists()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Compile while nobody else compiles this kind, with torch's cache in place.

        Raises
        ------
        PermissionError
            If others may write into the folder.
        """
        from filelock import FileLock  # noqa: PLC0415 - a driver takes no turn

        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = self.folder.stat()
        if os.name == "posix" and (status.st_uid != os.getuid() or status.st_mode & _OTHERS):
            raise PermissionError(f"{self.folder} holds code and must be this user's alone")
        os.environ[CODE_VARIABLE] = str(self.folder)
        alone = FileLock(self._mark.with_suffix(".lock"))
        with nullcontext() if self.are_there else alone:
            yield

    def made(self) -> None:
        """Leave the mark."""
        self._mark.touch()


def kind_of_code(stage: Stage, *, device: str, threads: int) -> str:
    """What the code of a stage depends on, as far as a driver knows it.

    Weights, seeds, labels and their number do not enter.
    """
    forces = any(head.forces for head in stage.heads.values())
    model = stage.model.model_dump_json()
    heads = f"{len(stage.carried)} heads, {len(stage.heads)} learn {stage.trainable}"
    return f"{model} {heads} {stage.dataset} forces={forces} {device} {threads}"

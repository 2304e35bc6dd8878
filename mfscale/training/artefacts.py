"""Where compiled code lies for the processes to come; without torch, for a driver asks too."""

import hashlib
import os
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mfscale.data import cache_directory
from mfscale.study import Stage

CODE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
"""Where torch keeps compiled code. It runs what it finds there, so nobody else may write there."""
_OTHERS = 0o022
_MAKERS = ("mfscale", "torch", "nequip", "nequip-allegro", "mace-torch", "e3nn")
"""Packages that a network's operations come from."""


class Artefacts:
    """The compiled code of one kind of network, shared by all processes of this user and machine.

    In one folder of the user's cache, for all kinds, lie graphs that are ready to run, a file each,
    what torch compiled for them, by content, and a mark for each kind that was made; in folders of
    their own for another kind of processor, which may lack instructions.

    Parameters
    ----------
    kind
        Equal for networks whose code is the same, as far as a driver knows.
    """

    def __init__(self, kind: str) -> None:
        self._all = cache_directory() / "compiled"
        self.folder = self._all / _digest(_processor())
        self._mark = self.folder / f"{_digest(f'{_versions()} {kind}')}.made"

    @property
    def are_there(self) -> bool:
        """Whether some process has compiled this kind."""
        return self._mark.exists()

    def open(self) -> None:
        """Have torch look for code in the folder, and put there what it makes.

        Raises
        ------
        PermissionError
            If others may write into the folder.
        """
        self._all.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = self._all.stat()
        if os.name == "posix" and (status.st_uid != os.getuid() or status.st_mode & _OTHERS):
            raise PermissionError(f"{self._all} holds code and must be this user's alone")
        self.folder.mkdir(mode=0o700, exist_ok=True)
        os.environ[CODE_VARIABLE] = str(self.folder)

    def file(self, described: str) -> Path:
        """Where code lies that depends on what `described` says, this machine and our packages."""
        return self.folder / f"{_digest(f'{_versions()} {described}')}.code"

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


@cache
def _versions() -> str:
    found = [platform.python_version()]
    for package in _MAKERS:
        try:
            found.append(version(package))
        except PackageNotFoundError:
            found.append("none")
    return " ".join(found)


@cache
def _processor() -> str:
    """What tells one kind of processor from another: its name and what it can, as Linux says."""
    told = Path("/proc/cpuinfo")
    lines = (
        told.read_text(errors="replace").partition("\n\n")[0].splitlines() if told.exists() else []
    )
    kept = [
        line for line in lines if line.partition("\t")[0] in {"model name", "flags", "Features"}
    ]
    return "\n".join(kept) or f"{platform.machine()} {platform.processor()}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]

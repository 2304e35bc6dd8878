"""Write a figure as PNG and PDF, whole or not at all."""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mfscale.report.errors import ReportError
from mfscale.report.style import SETTINGS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 300


def save(figure: "Figure", stem: Path) -> tuple[Path, Path]:
    """Write ``stem.png`` (300 dpi) and ``stem.pdf``; the folder is made, older files replaced.

    Raises
    ------
    ReportError
        If a file cannot be written.
    """
    png, pdf = (stem.with_name(f"{stem.name}.{kind}") for kind in ("png", "pdf"))
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        _write(figure, png, {"Software": "mfscale"})
        _write(
            figure, pdf, {"Creator": "mfscale", "CreationDate": None}
        )  # equal figures, equal files
    except OSError as error:
        raise ReportError(
            f"cannot write {stem}: {error.strerror}; choose another folder"
        ) from error
    return png, pdf


def _write(figure: "Figure", path: Path, metadata: dict[str, str | None]) -> None:
    import matplotlib as mpl  # noqa: PLC0415 - drawing alone needs it

    handle, name = tempfile.mkstemp(suffix=path.suffix, prefix=f".{path.stem}-", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        with mpl.rc_context(SETTINGS):
            figure.savefig(temporary, dpi=_DPI, metadata=metadata)
        temporary.chmod(0o644)  # mkstemp lets the owner alone read
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)

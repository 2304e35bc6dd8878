"""Several fits in one file, as `fit` returns them: one per group."""

import json
from collections.abc import Sequence
from pathlib import Path

from mfscale.scaling.errors import FitError
from mfscale.scaling.result import Fit


def save_fits(fits: Sequence[Fit], path: str | Path) -> None:
    """Write fits to a JSON file, a list of what `Fit.to_dict` gives, with their draws.

    Raises
    ------
    FitError
        For a place that cannot be written to.
    """
    text = json.dumps([found.to_dict() for found in fits], allow_nan=False, ensure_ascii=False)
    try:
        Path(path).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise FitError(f"{path} cannot be written: {error.strerror or error}") from error


def load_fits(path: str | Path) -> list[Fit]:
    """Read the fits of `save_fits`, or the one of `Fit.save`.

    Raises
    ------
    FitError
        For a file that cannot be read, holds anything else, or a law of one's own, which has to be
        passed to `Fit.load`.

    Examples
    --------
    >>> import pandas as pd, tempfile
    >>> from mfscale.scaling import fit
    >>> table = pd.DataFrame({"labels": [10, 20, 40, 80], "mae": [8.0, 4.1, 2.0, 0.99]})
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     save_fits(fit(table, "power", x="labels", y="mae"), file.name)
    ...     [law] = load_fits(file.name)
    >>> float(law.predict(160)["median"].round(1)[0])
    0.5
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FitError(f"{path} cannot be read as saved fits: {error}") from error
    each = content if isinstance(content, list) else [content]
    if not each:
        raise FitError(f"{path} holds no fit")
    try:
        return [Fit.from_dict(one) for one in each]
    except FitError as error:
        raise FitError(f"{path}: {error}") from error

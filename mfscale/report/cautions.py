"""The warnings of several laws in a few words: one sentence for those that differ in numbers."""

import re
from collections.abc import Sequence

from mfscale.report.naming import column_label
from mfscale.report.selection import DrawnLaw
from mfscale.scaling import Fit

_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?!\w|\.\d)")
_MOST_NAMES = 4  # of laws before a sentence; more are counted


def cautions(laws: Sequence[DrawnLaw]) -> list[str]:
    """Each warning once, with the laws it is about unless these are all.

    Sentences that differ in their numbers alone become one, with the range of each number.
    """
    about: dict[str, list[tuple[str, str]]] = {}
    for law in laws:
        for warning in law.fit.warnings:
            message = _in_words(warning.message, law.fit)
            about.setdefault(_NUMBER.sub("0", message), []).append((law.name, message))
    found = []
    for told in about.values():
        names = list(dict.fromkeys(name for name, _ in told))
        message = _merged([message for _, message in told])
        if len(names) == len(laws):
            found.append(f"⚠ {message}.")
        elif len(names) <= _MOST_NAMES:
            found.append(f"⚠ {'; '.join(names)}: {message}.")
        else:
            found.append(f"⚠ {len(names)} of {len(laws)} laws: {message}.")
    return found


def _merged(messages: Sequence[str]) -> str:
    """One sentence, with "3 to 5" where messages say 3, 4 and 5."""
    every = [_NUMBER.findall(message) for message in messages]
    parts = _NUMBER.split(messages[0])
    words = parts[0]
    for numbers, after in zip(zip(*every, strict=True), parts[1:], strict=True):
        low, high = min(numbers, key=float), max(numbers, key=float)
        words += (low if low == high else f"{low} to {high}") + after
    return words


def _in_words(message: str, fit: Fit) -> str:
    """The message with labels for the names of columns, where they stand as words."""
    columns = {column for column in (fit.x, fit.y, fit.cluster) if column}
    names = "|".join(map(re.escape, columns))
    return re.sub(rf"(?<!\w)({names})(?!\w)", lambda found: column_label(found[1]), message)

"""Numbers as a person would write them in a report or under a figure."""

from math import floor, isclose, isnan, log10


def format_number(value: float, digits: int = 3) -> str:
    """Some significant digits, and an exponent only where a person would write one."""
    if isnan(value):
        return "unknown"
    if abs(value) < 1e7 and isclose(value, round(value), rel_tol=1e-9):
        text = f"{value:.0f}"
    elif not 1e-4 <= abs(value) < 1e7:
        text = f"{value:.{digits - 1}e}"
    else:
        rounded = float(f"{value:.{digits}g}")
        text = f"{rounded:.{max(0, digits - 1 - floor(log10(abs(rounded))))}f}"
    return text.replace("-", "−")


def format_interval(low: float, high: float) -> str:
    """``0.66–0.77``, or ``−0.1 to 0.2`` where a dash would read as a minus."""
    if isnan(low) or isnan(high):
        return "unknown"
    between = " to " if low < 0 else "–"
    return f"{format_number(low)}{between}{format_number(high)}"


def format_percent(level: float) -> str:
    """``95%``."""
    return f"{100 * level:.4g}%"

"""The one error a wrong study file ends in."""


class StudyError(ValueError):
    """A study that cannot be read or run; the message names file, key and remedy."""

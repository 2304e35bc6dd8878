"""The one error a picture that cannot be drawn or written ends in."""


class ReportError(ValueError):
    """A picture that cannot be drawn or written; the message names the cause and the remedy."""

"""The one error that claims which cannot be looked at end in."""


class ClaimsError(ValueError):
    """Claims that cannot be looked at; the message names the column, value and remedy."""

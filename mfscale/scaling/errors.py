"""The one error a fit or a prediction that cannot be made ends in."""


class FitError(ValueError):
    """A fit or prediction that cannot be made; the message names the column, value and remedy."""

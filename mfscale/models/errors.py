"""The one error a model that cannot be built ends in."""


class ModelError(ValueError):
    """An architecture that is not installed, or a model it cannot make; names the remedy."""

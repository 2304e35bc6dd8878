"""The one error a wrong dataset, or a wrong request to one, ends in."""


class DatasetError(ValueError):
    """A dataset that cannot be read or serve a request; the message names place and remedy."""

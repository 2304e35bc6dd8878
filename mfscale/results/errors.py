"""The one error that a user of the results store meets."""


class StoreError(ValueError):
    """A store, row, table or query that cannot be used; the message says why and what to do."""

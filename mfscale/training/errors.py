"""What a stage ends in that cannot be trained, or is asked to stop."""


class TrainingError(ValueError):
    """Labels, a checkpoint or a model file that do not fit; the message names the remedy."""


class Interrupted(Exception):  # noqa: N818 - nothing is wrong
    """A stage that stopped because it was asked to; its progress is on disk."""

"""The one error a stage, checkpoint or exported model that cannot be used ends in."""


class TrainingError(ValueError):
    """Labels, a checkpoint or a model file that do not fit; the message names the remedy."""

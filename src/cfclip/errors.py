"""The exceptions of cfclip.

Every message is one line for a person: it names the value, the limit and the remedy. The command
line prints it and exits with status 2; the library raises it.
"""


class CfclipError(Exception):
    """Base of every error that cfclip raises on purpose."""


class InputError(CfclipError):
    """An image, prompt, setting or path that cannot be used."""


class PackError(CfclipError):
    """A model pack that is unknown, incomplete or altered."""


class CheckpointError(CfclipError):
    """A weight file that is missing, damaged or does not fit its model."""


class TrainingError(CfclipError):
    """A training that went wrong and stopped; its last good checkpoint is kept."""

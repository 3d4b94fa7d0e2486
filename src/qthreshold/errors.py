"""Every exception that qthreshold raises on purpose.

    QThresholdError
    ├── InputError          bad input: what, where, accepted values          (exit 2)
    │   └── RunExistsError  the output directory already holds something     (exit 2)
    ├── StoreError          a run directory is damaged or cannot be written  (exit 4)
    │   └── OutdatedError   a derived record is of an older version          (exit 4)
    └── BackendError        device, provider or simulator failed; resumable  (exit 4)

Messages are one line, written for the person at the bench: what is wrong, where, what to do next. Misuse of a Python
function by a programmer (wrong shapes, wrong types) is a plain ``ValueError``.
"""

__all__ = ["BackendError", "InputError", "OutdatedError", "QThresholdError", "RunExistsError", "StoreError"]


class QThresholdError(Exception):
    """Base of all errors that are explained to the user in one line."""

    exit_code = 4


class InputError(QThresholdError):
    """The user's input cannot be used."""

    exit_code = 2


class RunExistsError(InputError):
    """The output directory already holds another run, or other files."""


class StoreError(QThresholdError):
    """A run directory is damaged, or a file in it cannot be written."""


class OutdatedError(StoreError):
    """A record that follows from others was written by an older version; it is made again, not upgraded."""


class BackendError(QThresholdError):
    """The device, provider or simulator failed. The run directory stays resumable."""

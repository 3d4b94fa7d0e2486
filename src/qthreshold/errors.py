"""Every exception that qthreshold raises on purpose.

    QThresholdError
    ├── InputError                 bad input: what, where, accepted values          (exit 2)
    │   ├── RunExistsError         the output directory already holds something     (exit 2)
    │   ├── AuthenticationError    the provider knows no such account               (exit 2)
    │   └── ConsentError           nobody agreed to what the jobs may cost          (exit 2)
    ├── StoreError                 a run directory is damaged or cannot be written  (exit 4)
    │   └── OutdatedError          a derived record is of an older version          (exit 4)
    ├── NoEstimateError            a number was asked for that the run does not have (exit 4)
    └── BackendError               device, provider or simulator failed; resumable  (exit 4)
        ├── RejectedError          the provider refuses the circuits or options
        ├── QuotaError             no time, no requests or no money left
        ├── TransientError         network or service; trying again may help
        ├── JobFailedError         a job ended without a result
        │   ├── JobCancelledError  it was cancelled
        │   └── JobTimeoutError    it took longer than it may
        ├── CorruptResultError     what came back is not what was asked for
        └── LostJobError           the provider cannot give a job back to this process

Messages are one line, written for the person at the bench: what is wrong, where, what to do next. Misuse of a Python
function by a programmer (wrong shapes, wrong types) is a plain ``ValueError``.
"""

from typing import Any

__all__ = [
    "AuthenticationError", "BackendError", "ConsentError", "CorruptResultError", "InputError", "JobCancelledError", "JobFailedError",
    "JobTimeoutError", "LostJobError", "NoEstimateError", "OutdatedError", "QThresholdError", "QuotaError", "RejectedError", "RunExistsError",
    "StoreError", "TransientError",
]  # fmt: skip


class QThresholdError(Exception):
    """Base of all errors that are explained to the user in one line."""

    exit_code = 4


class InputError(QThresholdError):
    """The user's input cannot be used."""

    exit_code = 2


class RunExistsError(InputError):
    """The output directory already holds another run, or other files."""


class AuthenticationError(InputError):
    """There is no account, or the provider does not accept it."""


class ConsentError(InputError):
    """Jobs would cost device time, and neither a person nor a cap agreed to it."""


class StoreError(QThresholdError):
    """A run directory is damaged, or a file in it cannot be written."""


class OutdatedError(StoreError):
    """A record that follows from others was written by an older version; it is made again, not upgraded."""


class NoEstimateError(QThresholdError):
    """A number was asked for that the run does not have: its fit failed, or counts are missing."""


class BackendError(QThresholdError):
    """The device, provider or simulator failed. The run directory stays resumable."""


class RejectedError(BackendError):
    """The provider refuses the circuits, their number or the options; sending the same again will not help."""


class QuotaError(BackendError):
    """The provider's quota, its limit of requests, or the user's own cap is used up.

    Args:
        message: One line.
        passing: Whether it passes by itself in a while, as a limit of requests does.
    """

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


class TransientError(BackendError):
    """Network or service failed; trying again may help. Whether a job was accepted may be unknown.

    Args:
        message: One line.
        under_way: Whether the request was given up on here but may still arrive.
    """

    def __init__(self, message: str, *, under_way: bool = False) -> None:
        super().__init__(message)
        self.under_way = under_way


class JobFailedError(BackendError):
    """A job ended without a result.

    Attributes:
        partial: The run as far as the other jobs carry it, a ``workflow.RunResult``; None where there is nothing.
    """

    partial: Any = None


class JobCancelledError(JobFailedError):
    """A job was cancelled, here or at the provider."""


class JobTimeoutError(JobFailedError):
    """A job took longer than it may."""


class CorruptResultError(BackendError):
    """A result is empty, cut off, or not of the circuits that were sent."""


class LostJobError(BackendError):
    """The provider cannot give a job back to this process. It may have run, and may cost."""

"""Points of the staircase: what is known of a device, as a number of qubits and a C-NOT error with their intervals."""

import re
from dataclasses import dataclass

from qthreshold.errors import InputError
from qthreshold.identity import Interval
from qthreshold.metrics import DeviceMetrics

__all__ = ["Point", "metrics_point", "stated_point"]

_STATED = re.compile(r"(?P<label>.+)=(?P<qubits>[^,=]+),(?P<error>[^,=]+)")


@dataclass(frozen=True, slots=True)
class Point:
    """A device: its name, how many qubits count, and its C-NOT error (NaN where that is not known)."""

    label: str
    qubits: Interval
    error: Interval


def metrics_point(label: str, metrics: DeviceMetrics) -> Point:
    """Of a measured device."""
    return Point(label, metrics.connected_working_qubits, metrics.mean)


def stated_point(text: str) -> Point:
    """Of a device that somebody states numbers for.

    Args:
        text: ``LABEL=QUBITS,ERROR``.

    Raises:
        InputError: It is not of that form, or the numbers cannot be.

    Example:
        >>> stated_point("Data sheet=105,3.8e-3").error.best
        0.0038
    """
    found = _STATED.fullmatch(text)
    try:
        if found is None or not found["label"].strip():
            raise ValueError
        qubits, error = int(found["qubits"]), float(found["error"])
        if qubits < 1 or not 0 < error < 1:
            raise ValueError
    except ValueError:
        raise InputError(f"{text!r} is neither a run directory nor LABEL=QUBITS,ERROR, such as 'Data sheet=105,3.8e-3'") from None
    return Point(found["label"].strip(), _exactly(qubits), _exactly(error))


def _exactly(value: float) -> Interval:
    return Interval(low=value, best=value, high=value, level=0.95)

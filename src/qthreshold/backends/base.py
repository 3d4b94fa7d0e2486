"""What a backend is: a device, and a way to run a plan's circuits on it."""

from collections.abc import Callable
from typing import Protocol

from qthreshold.backends.noise import Truth
from qthreshold.counts import Counts
from qthreshold.device import Device
from qthreshold.plan import Plan
from qthreshold.ticket import Ticket

__all__ = ["Backend", "Progress"]

Progress = Callable[[int], None]
"""Called with the number of units (a target in a circuit) finished since the last call."""


class Backend(Protocol):
    """A device and a way to run circuits on it. Used as a context manager, so that workers and connections are closed."""

    spec: str
    device: Device
    state: str
    """Changes when anything about the backend changes that the device does not show: a simulator's noise, a calibration."""

    def __enter__(self) -> "Backend": ...
    def __exit__(self, *exception: object) -> None: ...

    def submit(self, plan: Plan, ticket: Ticket) -> Ticket:
        """Hand the ticket's circuits over; returns the ticket with its job ids. Local simulators have none and do nothing."""
        ...

    def collect(self, plan: Plan, ticket: Ticket, progress: Progress) -> Counts:
        """Outcomes of the ticket's circuits, waiting for them if need be."""
        ...

    def truth(self, block: str) -> Truth | None:
        """True errors with ``block`` interleaved, where the backend knows its own noise."""
        ...

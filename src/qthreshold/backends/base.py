"""What a backend is: a device, and a way to run a plan's circuits on it, at once (simulator) or as jobs (provider)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeGuard

from qthreshold.backends.noise import Truth
from qthreshold.counts import Counts
from qthreshold.device import Device
from qthreshold.limits import Limits
from qthreshold.plan import Plan
from qthreshold.tallies import Tallies
from qthreshold.ticket import Ticket

__all__ = ["Backend", "Progress", "Provider", "Sight", "Simulator", "is_provider", "is_simulator"]

Progress = Callable[[int], None]
"""Called with the number of units (a target in a circuit) finished since the last call."""


class Backend(Protocol):
    """A device and a way to run circuits on it. Used as a context manager, so that workers and connections are closed."""

    @property
    def spec(self) -> str:
        """The spec that opens the same backend again."""
        ...

    @property
    def device(self) -> Device:
        """The device, as it is now."""
        ...

    @property
    def state(self) -> str:
        """Changes when anything about the backend changes that the device does not show: a simulator's noise, a calibration."""
        ...

    def __enter__(self) -> "Backend": ...
    def __exit__(self, *exception: object) -> None: ...

    def truth(self, block: str) -> Truth | None:
        """True errors with ``block`` interleaved, where the backend knows its own noise."""
        ...


class Simulator(Backend, Protocol):
    """Runs circuits here and now."""

    def check(self, plan: Plan) -> None:
        """Look at a plan before anything is run.

        Raises:
            InputError: Its circuits cannot be simulated.
        """
        ...

    def collect(self, plan: Plan, ticket: Ticket, progress: Progress) -> Counts | Tallies:
        """Outcomes of the ticket's circuits, of their full width or target by target."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a look at a job showed.

    Attributes:
        state: ``queued``, ``running``, ``done``, ``failed``, ``cancelled`` or ``timed_out``.
        ahead: Jobs in front of the device's queue, where the provider says.
        message: The provider's own words about a job that failed.
    """

    state: str
    ahead: int | None = None
    message: str = ""


class Provider(Backend, Protocol):
    """Takes jobs and gives their results back later, perhaps to another process on another machine.

    All methods raise the kinds of :mod:`qthreshold.errors`, never an exception of the provider's client.
    """

    paid: bool
    """Whether jobs may cost money or quota."""
    ends_jobs: bool
    """Whether the provider ends a job that takes longer than it was told."""
    limits: Limits
    preflight: bool
    """Whether one small circuit with a known outcome goes first, because nobody has checked this provider's format of results."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """How jobs are run, as recorded with the run: repetition delay, mode, client versions."""
        ...

    def calibration(self) -> Mapping[str, Any] | None:
        """The provider's own description of the device as it is now, plain JSON values; None where it has none."""
        ...

    def obstacles(self, plan: Plan, device: Device) -> list[str]:
        """Why the plan's circuits cannot run on the device as it is now, one line each; checked against the target."""
        ...

    def prepare(self, plan: Plan, device: Device, ticket: Ticket) -> Any:
        """Whatever :meth:`send` needs of a ticket, such as its circuits; nothing is sent, and nothing asked of the network.

        Args:
            plan: The plan.
            device: The device as it was planned, which says how circuits are written.
            ticket: The ticket.
        """
        ...

    def send(self, prepared: Any, *, tags: Sequence[str], most_seconds: float | None) -> str:
        """Hand what was prepared over as one job and return its id.

        Args:
            prepared: What :meth:`prepare` returned.
            tags: Labels that :meth:`find` must know the job by, the run's first, the attempt's second.
            most_seconds: Device time after which the provider shall end the job, where it can.

        Raises:
            InputError: The device as it is now cannot run the circuits; nothing was sent.
            RejectedError: Certainly not accepted, and will not be.
            QuotaError: Certainly not accepted for now.
            AuthenticationError: Certainly not accepted; the account is not.
            TransientError: Nobody knows whether the job was accepted.
        """
        ...

    def find(self, tag: str) -> dict[str, list[str]] | None:
        """Ids of all jobs that carry a run's tag, by their attempt's tag; None where the provider has no tags."""
        ...

    def look(self, job_id: str) -> Sight:
        """How a job is doing."""
        ...

    def fetch(self, plan: Plan, device: Device, ticket: Ticket, job_id: str) -> Counts:
        """Outcomes of a job that is done.

        Raises:
            CorruptResultError: They are not those of the ticket's circuits.
        """
        ...

    def charged(self, job_id: str) -> float | None:
        """Seconds of device time that a job was charged; None while that is not known."""
        ...

    def cancel(self, job_id: str) -> None:
        """Cancel a job; nothing happens to one that has ended."""
        ...


def is_simulator(backend: Backend) -> TypeGuard[Simulator]:
    """Whether a backend runs circuits here and now. By its class alone, because asking an object may ask the network."""
    return hasattr(type(backend), "collect")


def is_provider(backend: Backend) -> TypeGuard[Provider]:
    """Whether a backend takes jobs."""
    return hasattr(type(backend), "send")

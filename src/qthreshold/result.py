"""What a finished run holds, as one thing that reports are made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qthreshold.backends.noise import Truth
from qthreshold.decays import DecayTable
from qthreshold.device import Device
from qthreshold.fits import FittedErrors
from qthreshold.frontier import Frontier
from qthreshold.metrics import DeviceMetrics
from qthreshold.plan import Plan, PlanCost, plan_cost
from qthreshold.rulebook import Instrument
from qthreshold.verdict import Verdicts

__all__ = ["RunRecords"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecords:
    """All records of a finished run.

    Attributes:
        device, plan, decays, fits, metrics, frontier, verdicts: The stages.
        truth: True errors, where the backend knows its noise.
        instruments: The rules of the verdicts, in their order, as they are on file now.
        header: The run's header (``run.json``).
        seconds: Wall time of each stage.
        missing: Names of circuits that were planned and have no counts.
        jobs: How many jobs the circuits were handed over in, at a provider.
        job_ids: The provider's names of the jobs that were sent, in order.
        calibrations: What the provider said of its calibration in the course of the run: time (or None) and id (or None) of each.
        charged: Seconds of device time that the provider charged, once all of them are known.
    """

    device: Device
    plan: Plan
    decays: DecayTable
    fits: FittedErrors
    metrics: DeviceMetrics
    frontier: Frontier
    verdicts: Verdicts
    truth: Truth | None
    instruments: tuple[Instrument, ...]
    header: dict[str, Any]
    seconds: dict[str, float] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    jobs: int | None = None
    job_ids: tuple[str, ...] = ()
    calibrations: tuple[Mapping[str, str | None], ...] = ()
    charged: float | None = None

    @property
    def cost(self) -> PlanCost:
        """What the plan costs on a machine of this kind."""
        return plan_cost(self.plan, self.device, self.jobs)

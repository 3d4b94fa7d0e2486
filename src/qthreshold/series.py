"""One number of a device over its runs: what history keeps, and what drift is looked for in."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from qthreshold.identity import Record
from qthreshold.measurements import METRICS

__all__ = ["Series"]

Real = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Series(Record):
    """A metric of a target in K runs, oldest first.

    Attributes:
        device: Name of the device.
        metric, target: As in :class:`.measurements.Measurements`.
        level: Confidence level of the intervals.
        run_ids: The runs, ``(K,)``.
        taken_at: When each was made, seconds since 1970 (UTC), ``(K,)``, not decreasing.
        calibrated_at: When the device was last calibrated before it, the same; NaN where that is not known.
        best, low, high: Estimates, ``(K,)``; NaN where there is none.
        dof: Degrees of freedom behind each interval, ``(K,)``; infinite where it is normal.
        status: ``ok``, ``no_data`` (says nothing about the device), or why there is no number, ``(K,)``.
    """

    schema: ClassVar[str] = "qthreshold/series/1"
    device: str
    metric: str
    target: str
    level: float
    run_ids: tuple[str, ...]
    taken_at: Real
    calibrated_at: Real
    best: Real
    low: Real
    high: Real
    dof: Real
    status: tuple[str, ...]

    def _check(self) -> None:
        if self.metric not in METRICS:
            raise ValueError(f"unknown metric {self.metric!r}")
        rows = len(self.run_ids)
        for name in ("taken_at", "calibrated_at", "best", "low", "high", "dof", "status"):
            if len(getattr(self, name)) != rows:
                raise ValueError(f"{rows} runs, but {len(getattr(self, name))} values of {name}")
        if (np.diff(self.taken_at) < 0).any():
            raise ValueError("runs are not in the order of time")

"""One number of a device over its runs: what history keeps, and what drift is looked for in."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from qthreshold.identity import Record
from qthreshold.measurements import METRICS, PER_TARGET

__all__ = ["LeftOut", "Series", "left_out", "what_counts"]

Real = npt.NDArray[np.float64]

_NO_CRITERIA = tuple(metric for metric in PER_TARGET if metric != "works")  # what was found of a pair or qubit, whether it counts or not


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LeftOut(Record):
    """Runs that a series lacks because what must agree before runs are compared does not.

    Attributes:
        runs: How many.
        differences: What differs, and its value there and in the newest run; several values, if they have several, are joined by commas.
    """

    schema: ClassVar[str] = "qthreshold/left-out/1"
    runs: int = 0
    differences: tuple[tuple[str, str, str], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"runs": self.runs, "differences": [{"name": name, "there": there, "here": here} for name, there, here in self.differences]}


def what_counts(metric: str, context: Mapping[str, str]) -> dict[str, str]:
    """The part of a context that the numbers of a metric depend on.

    Errors of single pairs and qubits are what they are whichever of them are counted, so criteria for a working qubit are no part of it.

    Args:
        metric: Of :data:`.measurements.METRICS`.
        context: As in :class:`.measurements.Measurements`.

    Example:
        >>> context = {"gate": "cnot", "criterion cnot_error": "0.1", "connected": "measured"}
        >>> what_counts("cnot_error", context)
        {'gate': 'cnot'}
        >>> what_counts("works", context) == context
        True
    """
    return {k: v for k, v in context.items() if not (metric in _NO_CRITERIA and (k == "connected" or k.startswith("criterion ")))}


def left_out(metric: str, newest: Mapping[str, str], contexts: Iterable[tuple[Mapping[str, str], int]]) -> LeftOut:
    """What a series lacks.

    Args:
        metric: Of the series.
        newest: Context of the newest run.
        contexts: Those of all runs that are looked at, and how many runs have each.

    Example:
        >>> left_out("works", {"gate": "cz"}, [({"gate": "cz"}, 1), ({"gate": "ecr"}, 30)])
        LeftOut(runs=30, differences=(('gate', 'ecr', 'cz'),))
    """
    here, runs, there = what_counts(metric, newest), 0, dict[str, set[str]]()
    for context, count in contexts:
        other = what_counts(metric, context)
        runs += count if other != here else 0
        for name in sorted(here.keys() | other.keys()):
            if other.get(name) != here.get(name):
                there.setdefault(name, set()).add(other.get(name, "nothing"))
    differences = tuple((name, ", ".join(sorted(values)), here.get(name, "nothing")) for name, values in sorted(there.items()))
    return LeftOut(runs=runs, differences=differences)


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
        left_out: Runs that are not in it because they were measured or counted otherwise.
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
    left_out: LeftOut = LeftOut()

    def _check(self) -> None:
        if self.metric not in METRICS:
            raise ValueError(f"unknown metric {self.metric!r}")
        rows = len(self.run_ids)
        for name in ("taken_at", "calibrated_at", "best", "low", "high", "dof", "status"):
            if len(getattr(self, name)) != rows:
                raise ValueError(f"{rows} runs, but {len(getattr(self, name))} values of {name}")
        if (np.diff(self.taken_at) < 0).any():
            raise ValueError("runs are not in the order of time")

"""A run as a device test reads it: ``report.cnot_error.mean.high < 5e-3``, with failures that say what was measured."""

import math
from dataclasses import dataclass
from typing import Any

from qthreshold.datafiles import near_matches
from qthreshold.measurements import METRICS, Measurements, Row, in_words, make_measurements
from qthreshold.report.words import answer, number
from qthreshold.result import RunRecords
from qthreshold.verdict import Verdict

__all__ = ["Bound", "DeviceReport", "Value", "explain"]


class Bound(float):
    """One end of an interval: a float that knows what it is an end of. Comparing one that does not exist is an error, never False or True."""

    __slots__ = ("end", "value")
    value: "Value"
    end: str

    def __new__(cls, number: float, value: "Value", end: str) -> "Bound":
        """A float of a value."""
        out = super().__new__(cls, number)
        out.value, out.end = value, end
        return out

    def __repr__(self) -> str:
        return number(float(self)) if abs(self) < 1 else f"{float(self):g}"

    def _known(self) -> float:
        if math.isnan(self):
            raise AssertionError(f"{self.value.name} of {self.value.device} has no estimate: {self.value.status.replace('_', ' ')}")
        return float(self)

    def __lt__(self, other: float) -> bool:
        return self._known() < other

    def __le__(self, other: float) -> bool:
        return self._known() <= other

    def __gt__(self, other: float) -> bool:
        return self._known() > other

    def __ge__(self, other: float) -> bool:
        return self._known() >= other


@dataclass(frozen=True, slots=True)
class Value:
    """A measured number: ``low``, ``best`` and ``high`` at confidence ``level``.

    Attributes:
        device: Name of the device.
        row: What was measured.
    """

    device: str
    row: Row

    @property
    def name(self) -> str:
        """What it is, in words."""
        return in_words(self.row.metric, self.row.target)

    @property
    def status(self) -> str:
        """``ok``, or why there is no estimate."""
        return self.row.status

    @property
    def level(self) -> float:
        """Confidence level of the interval."""
        return self.row.estimate.level

    @property
    def low(self) -> Bound:
        """Lower end."""
        return Bound(self.row.estimate.low, self, "lower end")

    @property
    def best(self) -> Bound:
        """Best estimate."""
        return Bound(self.row.estimate.best, self, "best estimate")

    @property
    def high(self) -> Bound:
        """Upper end."""
        return Bound(self.row.estimate.high, self, "upper end")

    def __repr__(self) -> str:
        return f"{self.low.__repr__()} to {self.high.__repr__()} (best {self.best.__repr__()}, {100 * self.level:g} %)"


@dataclass(frozen=True, slots=True)
class _Group:
    """Values by their last name, such as those of one pair, or mean, median, best and worst of a metric."""

    title: str
    values: dict[str, Value]

    def __getattr__(self, name: str) -> Value:
        if name.startswith("__"):
            raise AttributeError(name)
        if name not in self.values:
            raise AttributeError(f"{self.title} has no {name!r}: {near_matches(name, self.values)}")
        return self.values[name]

    def __repr__(self) -> str:
        return self.title


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """A finished run.

    Attributes:
        run: Its records.
        measurements: Its numbers.

    Example:
        >>> report = DeviceReport.of(qthreshold.run("exact:tiny-5", "quick"))  # doctest: +SKIP
        >>> report.cnot_error.mean  # doctest: +SKIP
        5.13e-3 to 6.85e-3 (best 5.99e-3, 95 %)
        >>> report.pair(3, 4).cnot_error.high < 1e-2  # doctest: +SKIP
        True
    """

    run: RunRecords
    measurements: Measurements

    @classmethod
    def of(cls, run: RunRecords) -> "DeviceReport":
        """The report of a run."""
        return cls(run, make_measurements(run))

    @property
    def name(self) -> str:
        """Name of the device."""
        return self.measurements.device

    @property
    def answer(self) -> str:
        """The sentence that answers the question."""
        from qthreshold.report.summary import make_summary

        return answer(make_summary(self.run))

    def pair(self, a: int, b: int) -> Any:
        """What was measured of a pair, in either order: ``.cnot_error``.

        Raises:
            KeyError: It was not measured.
        """
        at = self.measurements.index()
        target = f"{a}-{b}" if ("cnot_error", f"{a}-{b}") in at else f"{b}-{a}"
        return self._group(target, f"pair {a}-{b}")

    def qubit(self, q: int) -> Any:
        """What was measured of a qubit: ``.readout_error``, ``.one_qubit_error``, ``.works``.

        Raises:
            KeyError: It was not measured.
        """
        return self._group(str(q), f"qubit {q}")

    def verdict(self, instrument: str) -> Verdict:
        """The verdict by an instrument, such as ``us-ear``: ``.outcome``, ``.entry``, ``.probability_met``, ``.reason``.

        Raises:
            KeyError: The run was not judged by it.
        """
        found = {v.instrument: v for v in self.run.verdicts.verdicts}
        if instrument not in found:
            raise KeyError(f"no verdict by {instrument!r}: {near_matches(instrument, found)}")
        return found[instrument]

    def _group(self, target: str, title: str) -> _Group:
        m = self.measurements
        values = {m.metric[i]: Value(m.device, m.row(i)) for i in range(len(m.metric)) if m.target[i] == target}
        if not values:
            raise KeyError(f"{title} of {m.device} was not measured")
        return _Group(f"{title} of {m.device}", values)

    def __getattr__(self, name: str) -> Any:
        m = self.measurements
        of_device = {metric: Value(m.device, m.row(i)) for i, metric in enumerate(m.metric) if not m.target[i]}
        if name in of_device:
            return of_device[name]
        below = {metric.removeprefix(f"{name}."): value for metric, value in of_device.items() if metric.startswith(f"{name}.")}
        if not below:
            raise AttributeError(f"the report of {m.device} has no {name!r}: {near_matches(name, {k.split('.')[0] for k in METRICS})}")
        return _Group(f"{name} of {m.device}", below)

    def __repr__(self) -> str:
        return f"<{self.name}, run {self.measurements.run_id}>"


def explain(op: str, left: object, right: object) -> list[str] | None:
    """Why a comparison with an end of an interval failed, in lines; None if neither side is one.

    Args:
        op: The operator, such as ``<``.
        left: One side.
        right: The other.
    """
    bound, limit, sign = (left, right, op) if isinstance(left, Bound) else (right, left, _MIRRORED.get(op, op))
    if not isinstance(bound, Bound) or not isinstance(limit, float | int) or sign not in _NOT:
        return None
    row = bound.value.row
    where = row.estimate.low <= limit <= row.estimate.high
    return [
        f"{left!r} {op} {right!r}",
        f"{bound.value.name} of {bound.value.device}: {bound.value!r}",
        f"the {bound.end} is {_NOT[sign]} {limit:g}" + ("; the limit lies inside the interval, so the data cannot tell" if where else ""),
    ]


_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_NOT = {"<": "not below", "<=": "above", ">": "not above", ">=": "below"}

"""A finished run as an object that tests ask: ``report.pair(3, 4).cnot_error.high < 1e-2``.

Its numbers are floats that know what they are, so that a failed comparison can say so: metric, device, estimate and interval. Only ends of
intervals compare. A number that a run does not have is never NaN here, which a comparison could pass over in silence: asking for it raises.
"""

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NoReturn

from qthreshold.errors import InputError, NoEstimateError
from qthreshold.identity import Interval
from qthreshold.measurements import LOWER_IS_WORSE, METRICS, PARTLY, Measurements, make_measurements
from qthreshold.numerics.decay import REASONS
from qthreshold.report.summary import make_summary
from qthreshold.report.words import answer, number, shown_name
from qthreshold.result import RunRecords
from qthreshold.suggest import near_matches
from qthreshold.verdict import Verdict

__all__ = ["DeviceReport", "Estimate", "Group", "Outcome", "Value", "make_device_report"]

_ENDS = {"low": "the lower end", "best": "the estimate", "high": "the upper end"}
_RELATIONS: dict[str, tuple[str, Callable[[float, float], bool]]] = {
    "<": ("below", operator.lt), "<=": ("at most", operator.le), ">": ("above", operator.gt), ">=": ("at least", operator.ge),
    "==": ("equal to", operator.eq), "!=": ("other than", operator.ne),
}  # fmt: skip
_PER_TARGET = {"a pair": "pair", "a qubit": "qubit"}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class Estimate:
    """One number of a run with its interval; ``low``, ``best`` and ``high`` are what compares.

    Attributes:
        metric, target: Of what, as in :data:`.measurements.METRICS`: empty for the device, a pair (``3-4``) or a qubit (``5``).
        device: Name of the device.
        interval: All NaN where there is no estimate.
        status: ``ok``, or why there is none.
    """

    metric: str
    target: str
    device: str
    interval: Interval
    status: str

    @property
    def low(self) -> "Value":
        """Lower end of the interval."""
        __tracebackhide__ = True
        return Value(self, "low")

    @property
    def best(self) -> "Value":
        """The estimate itself, without its uncertainty."""
        __tracebackhide__ = True
        return Value(self, "best")

    @property
    def high(self) -> "Value":
        """Upper end of the interval."""
        __tracebackhide__ = True
        return Value(self, "high")

    @property
    def title(self) -> str:
        """What it is of what: ``C-NOT error of pair 3-4 of heron-133``."""
        words, device = METRICS[self.metric], shown_name(self.device)
        if not self.target:
            return f"{words.partition(' over ')[0]} of {device}"
        for general, kind in _PER_TARGET.items():
            words = words.replace(general, f"{kind} {self.target} of {device}")
        return words

    def form(self, value: float) -> str:
        """A number as it is written beside this one."""
        return f"{value:,.6g}" if self.metric in LOWER_IS_WORSE else number(value)

    def __repr__(self) -> str:
        i = self.interval
        if math.isnan(i.best):
            return f"{self.title}: none ({self.status})"
        around = f" ({100 * i.level:g} %: {self.form(i.low)} to {self.form(i.high)})" if i.low < i.high else ""
        return f"{self.title}: {self.form(i.best)}{around}"

    def _refuse(self, *_: object) -> NoReturn:
        __tracebackhide__ = True
        raise TypeError(f"{self.title} is an interval, which neither compares nor is true: take its .low, .best or .high")

    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = __bool__ = _refuse
    __hash__ = object.__hash__


class Value(float):
    """An end of an interval, or the estimate inside: a float in every respect, that can say what it is.

    Attributes:
        estimate: What it belongs to.
        end: ``low``, ``best`` or ``high``.

    Raises:
        NoEstimateError: The run has no such number.
    """

    __slots__ = ("end", "estimate")
    end: str
    estimate: Estimate

    def __new__(cls, estimate: Estimate, end: str) -> "Value":  # noqa: D102 - see the class
        __tracebackhide__ = True
        if math.isnan(value := getattr(estimate.interval, end)):
            reason = REASONS.get(estimate.status, "")
            raise NoEstimateError(f"the run has no {estimate.title}: {estimate.status}{f' ({reason})' if reason else ''}")
        self = super().__new__(cls, value)
        self.estimate, self.end = estimate, end
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Value, (self.estimate, self.end)

    __str__ = float.__repr__  # a number where a number is printed

    def __repr__(self) -> str:
        return f"<{_ENDS[self.end]} of {self.estimate}>"

    def explain(self, op: str, limit: object) -> list[str] | None:
        """Whether ``self op limit`` holds, in a sentence with the numbers; None where that is no comparison of numbers."""
        if op not in _RELATIONS or not isinstance(limit, (int, float)):
            return None
        words, holds = _RELATIONS[op]
        shown = f"{_ENDS[limit.end]} of {limit.estimate}" if isinstance(limit, Value) else _plain(limit, self.estimate)
        text = f"{self.estimate}; {_ENDS[self.end]} is {'' if holds(self, limit) else 'not '}{words} {shown}"
        inside = holds(self.estimate.interval.low, limit) != holds(self.estimate.interval.high, limit)
        return [text, *(["cannot tell: the limit lies inside the interval"] if inside else [])]


def _plain(limit: float, beside: Estimate) -> str:
    """A limit as people write it, ``5e-3``."""
    if beside.metric in LOWER_IS_WORSE or limit == 0 or not abs(limit) < 1:
        return f"{limit:,.6g}"
    mantissa, exponent = f"{limit:.8e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


class Outcome(str):
    """Outcome of a verdict: a word such as ``not_met``, that can say why.

    Attributes:
        verdict: Whose it is.
    """

    __slots__ = ("verdict",)
    verdict: Verdict

    def __new__(cls, verdict: Verdict) -> "Outcome":  # noqa: D102 - see the class
        self = super().__new__(cls, verdict.outcome)
        self.verdict = verdict
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Outcome, (self.verdict,)

    def explain(self, op: str, other: object) -> list[str] | None:
        """What the verdict is and why, where it was compared with another outcome; else None."""
        if op not in ("==", "!=") or not isinstance(other, str):
            return None
        v = self.verdict
        return [f"{v.jurisdiction} ({v.instrument}): the outcome is {str(v.outcome)!r}; the test asks for {op} {other!r}", v.reason]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class Group:
    """Numbers that belong together, as attributes: those of a pair, of a qubit, or the statistics of one metric.

    Attributes:
        title: Whose they are, for messages.
        values: What there is, by name.
    """

    title: str
    values: Mapping[str, "Estimate | Group"]

    def __getattr__(self, name: str) -> Any:
        __tracebackhide__ = True
        if name.startswith("__"):  # of Python's own, such as those that copies look for
            raise AttributeError(name)
        if name not in self.values:
            raise AttributeError(f"{self.title} has no {name!r}: {near_matches(name, self.values)}")
        return self.values[name]

    def __dir__(self) -> list[str]:
        return [*object.__dir__(self), *self.values]

    def __repr__(self) -> str:
        return f"<{self.title}: {', '.join(self.values)}>"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class DeviceReport:
    """What a run says of a device, for tests. Whole-device numbers are attributes: ``report.cnot_error.mean.high``, ``report.working_qubits.low``.

    Attributes:
        run: All records.
        measurements: All numbers, as a table.
        answer: The sentence that answers first.
        numbers: Numbers of the device as a whole, which are attributes of the report too.

    Example:
        >>> import tempfile, qthreshold
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     report = make_device_report(qthreshold.run("exact:tiny-5", "quick", seed=1, out=f"{folder}/run"))
        >>> report.working_qubits.low >= 5, report.pair(3, 4).cnot_error.high < 2e-2, report.verdict("us-ear").outcome
        (True, True, 'not_met')
        >>> report.cnot_error.mean
        mean C-NOT error of tiny-5: 5.87e-3 (95 %: 5.14e-3 to 6.61e-3)
        >>> report.cnot_error.average
        Traceback (most recent call last):
        AttributeError: cnot_error of tiny-5 has no 'average': Known: best, mean, median, worst
    """

    run: RunRecords
    measurements: Measurements
    answer: str
    numbers: Group
    _targets: Mapping[str, Group]

    def pair(self, a: int, b: int) -> Group:
        """The numbers of a pair, in either order: ``cnot_error``.

        Raises:
            InputError: It was not measured.
        """
        __tracebackhide__ = True
        found = self._targets.get(f"{a}-{b}") or self._targets.get(f"{b}-{a}")
        if found is None:
            mine = [t for t in self._targets if "-" in t and str(a) in t.split("-")]
            raise InputError(f"no pair {a}-{b} of {self.measurements.device} was measured; measured pairs of qubit {a}: {', '.join(mine) or 'none'}")
        return found

    def qubit(self, q: int) -> Group:
        """The numbers of a qubit: ``readout_error``, ``one_qubit_error``, ``works``.

        Raises:
            InputError: It was not measured.
        """
        __tracebackhide__ = True
        if str(q) not in self._targets:
            raise InputError(f"no qubit {q} of {self.measurements.device} was measured; its qubits count from 0 to {self.run.device.n_qubits - 1}")
        return self._targets[str(q)]

    def verdict(self, instrument: str) -> Verdict:
        """The verdict of an instrument, by id.

        Raises:
            InputError: The run was not judged by it.
            NoEstimateError: Counts are missing, so it was not the whole device that was judged.
        """
        __tracebackhide__ = True
        found = {v.instrument: v for v in self.run.verdicts.verdicts}
        if instrument not in found:
            raise InputError(f"the run was not judged by {instrument!r}: {near_matches(instrument, found)}")
        if not self.measurements.whole:
            raise NoEstimateError(f"the run has no verdict on {shown_name(self.measurements.device)}: {PARTLY}")
        return found[instrument].replace(outcome=Outcome(found[instrument]))

    def __getattr__(self, name: str) -> Any:
        __tracebackhide__ = True
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.numbers, name)

    def __dir__(self) -> list[str]:
        return [*object.__dir__(self), *self.numbers.values]

    def __repr__(self) -> str:
        return f"<DeviceReport of run {self.measurements.run_id} on {self.measurements.device}>"


def make_device_report(run: RunRecords) -> DeviceReport:
    """The report of a finished run.

    Args:
        run: Its records, such as :func:`qthreshold.run` returns.
    """
    table = make_measurements(run)
    device = shown_name(table.device)
    nothing = Interval(low=math.nan, best=math.nan, high=math.nan, level=table.level)
    whole: dict[str, Any] = {}
    targets: dict[str, dict[str, Estimate | Group]] = {}
    for r in table.rows():
        interval, status = (r.estimate, r.status) if r.target or table.whole else (nothing, PARTLY)
        estimate = Estimate(metric=r.metric, target=r.target, device=table.device, interval=interval, status=status)
        metric, _, statistic = r.metric.partition(".")
        if r.target:
            targets.setdefault(r.target, {})[metric] = estimate
        elif statistic:
            whole.setdefault(metric, {})[statistic] = estimate
        else:
            whole[metric] = estimate
    for name, value in whole.items():
        if isinstance(value, dict):
            whole[name] = Group(title=f"{name} of {device}", values=MappingProxyType(value))
    groups = {t: Group(title=f"{'pair' if '-' in t else 'qubit'} {t} of {device}", values=MappingProxyType(v)) for t, v in targets.items()}
    return DeviceReport(
        run=run, measurements=table, answer=answer(make_summary(run)), numbers=Group(title=device, values=MappingProxyType(whole)),
        _targets=MappingProxyType(groups),
    )  # fmt: skip

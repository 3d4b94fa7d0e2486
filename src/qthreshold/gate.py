"""The CI gate: whether a run meets rules, keeps to limits, and is no worse than before. Decided on intervals; what cannot be told is said."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pydantic
import pydantic_core
from pydantic import Field

from qthreshold.check import Case, CheckResult
from qthreshold.comparison import NEW, REGROUPED, Change, Comparison, compare_measurements
from qthreshold.drift import COUNTS
from qthreshold.errors import InputError
from qthreshold.measurements import METRICS, PER_TARGET, Measurements, in_words, make_measurements
from qthreshold.numerics.comparison import false_discovery_rate, probability_of_excess
from qthreshold.result import RunRecords
from qthreshold.rulebook import short
from qthreshold.schema import FieldError, Schema
from qthreshold.suggest import near_matches
from qthreshold.verdict import Verdict

__all__ = ["Gate", "Limit", "parse_share", "run_gate", "unreadable"]

Real = npt.NDArray[np.float64]

EXIT_PASSED, EXIT_FAILED, EXIT_UNDETERMINED, EXIT_INFRASTRUCTURE, EXIT_REGRESSION = 0, 1, 3, 4, 5


def parse_share(value: object) -> object:
    """``5%`` as 0.05; numbers and what cannot be read stay as they are.

    Example:
        >>> parse_share("5%"), parse_share(0.05), parse_share("much")
        (0.05, 0.05, 'much')
    """
    if type(value) in (int, float):
        return _no_percent(value)  # type: ignore[arg-type]
    if not isinstance(value, str):
        return value
    text = value.strip()
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        return value
    return number / 100 if text.endswith("%") else _no_percent(number)


def _no_percent(share: float) -> float:
    """A share that is meant as such: somebody who writes 5 means 5 %."""
    if share >= 1:
        raise pydantic_core.PydanticCustomError("share", "{share} would be {percent} %; write {share}% for percent", {
            "share": f"{share:g}", "percent": f"{100 * share:g}",
        })  # fmt: skip
    return share


Share = Annotated[float, pydantic.BeforeValidator(parse_share)]


class Limit(Schema):
    """A limit on one number, or on all pairs or qubits."""

    metric: str = Field(description=f"one of {', '.join(METRICS)}")
    target: str = Field(default="", description="a pair such as 3-4, or a qubit such as 5; left out: the device, or each pair or qubit")
    min: float | None = Field(default=None, strict=True, description="the value must not lie below")
    max: float | None = Field(default=None, strict=True, description="the value must not lie above")

    @pydantic.field_validator("metric")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in METRICS:
            raise ValueError(f"unknown metric {value!r}: {near_matches(value, METRICS)}")
        return value

    @pydantic.field_validator("target", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        return str(value) if type(value) is int else value

    @pydantic.model_validator(mode="after")
    def _sound(self) -> Self:
        if self.min is None and self.max is None:
            raise FieldError(("max",), f"a limit on {self.metric} needs max, min or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise FieldError(("min",), f"min {self.min:g} is above max {self.max:g}")
        highest, words = (np.inf, "the number of qubits") if self.metric in COUNTS else (1, "1")
        for end, bound in (("min", self.min), ("max", self.max)):
            if bound is not None and not 0 <= bound <= highest:
                raise FieldError((end,), f"{bound:g} is no limit on {self.metric}, which lies between 0 and {words}")
        numbers = self.target.split("-")
        fits = all(n.isascii() and n.isdecimal() for n in numbers) and len(numbers) == (2 if self.metric == "cnot_error" else 1)
        if self.target and (self.metric not in PER_TARGET or not fits):
            raise FieldError(("target",), f"{self.target!r} is no target of {self.metric}, {_TARGETS.get(self.metric, 'which is of the device')}")
        return self


_TARGETS = {"cnot_error": "whose targets are pairs such as 3-4"} | dict.fromkeys(PER_TARGET[1:], "whose targets are qubits such as 5")


class Gate(Schema):
    """What a run is held against; a gate file."""

    file_schema: Literal["qthreshold/gate/1"] = Field(default="qthreshold/gate/1", alias="schema")
    fail_on: tuple[Literal["met", "undetermined", "never"], ...] = Field(
        default=("met", "undetermined"),
        description="met: a rule is met or a limit exceeded; undetermined: the data cannot tell; never: report only",
    )
    instruments: Annotated[tuple[str, ...], Field(min_length=1)] | None = Field(
        default=None, description="rules that count; left out: all of the run"
    )
    baseline: str | None = Field(default=None, description="a run directory, from where the command runs; or last-good, or last:N from the history")
    max_regression: Annotated[Share, Field(ge=0, le=10)] = Field(default=0.05, description="tolerated relative change, 0.05 or '5%'")
    fdr: Annotated[Share, Field(gt=0, lt=1)] = Field(default=0.05, description="rate of false discoveries among all comparisons")
    limits: tuple[Limit, ...] = ()

    @pydantic.field_validator("fail_on", "instruments", "limits", mode="before")
    @classmethod
    def _is_list(cls, value: object, info: pydantic.ValidationInfo) -> object:
        if isinstance(value, str):
            raise ValueError(f'is a list: {info.field_name} = ["{value}"]')
        if isinstance(value, dict):
            raise ValueError(f"is a list of tables: write [[{info.field_name}]] with two brackets above each")
        return value

    @pydantic.field_validator("fail_on")
    @classmethod
    def _never_alone(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or ("never" in value and len(value) > 1):
            raise ValueError("fail_on names met, undetermined or both, or never alone")
        return value

    @pydantic.field_validator("baseline")
    @classmethod
    def _of_history(cls, value: str | None) -> str | None:
        count = value.removeprefix("last:") if value is not None and value.startswith("last:") else "1"
        if not (count.isascii() and count.isdecimal() and int(count) >= 1):
            raise ValueError(f"{value!r} is not last:N with a number of runs, such as last:7")
        return value


def run_gate(
    run: RunRecords, gate: Gate, baseline: Sequence[Measurements] = (), *, about: dict[str, str] | None = None, lost: str = ""
) -> CheckResult:  # fmt: skip
    """Hold a run against a gate.

    Args:
        run: The run.
        gate: Rules, limits and tolerances.
        baseline: Earlier runs that it must not be worse than; none for no such test.
        about: Further properties to note, such as the name of the gate file.
        lost: Why the baseline could not be read, where that is a fault; all else is decided without it.

    Raises:
        InputError: The gate names an instrument, pair or qubit that the run has not; or the baseline is foreign.
    """
    m = make_measurements(run)
    incomplete = not m.whole
    asked = [_counts(m), *_rules(run, gate, incomplete)]
    for limit in gate.limits:
        asked += _limit(m, limit, gate, incomplete)
    if lost:
        asked.append(Case(kind="regression", name="baseline", target="", outcome="error", reason=f"nothing was compared: {lost}"))
    elif baseline:
        asked += _regressions(compare_measurements(baseline, m, max_regression=gate.max_regression, fdr=gate.fdr))
    elif gate.baseline is not None:
        reason = f"there is no run yet that is a baseline {gate.baseline}, so nothing was compared"
        asked.append(Case(kind="regression", name="baseline", target="", outcome="cannot_tell", reason=reason, gates=False))
    cases = [c if _counts_for(c, gate) else replace(c, gates=False) for c in asked]
    code = _exit_code(cases)
    return CheckResult(
        run_id=m.run_id, device=m.device, taken_at=m.taken_at, exit_code=code, cases=tuple(cases), answer=_answer(m.device, cases, code),
        baseline=tuple(b.run_id for b in baseline),
        properties={
            **m.origin, "calibrated_at": m.calibrated_at or "not stated", "calibration_id": m.calibration_id or "not stated",
            "fail_on": ", ".join(gate.fail_on), **(about or {}),
        },
        metrics={name: m.row(i).estimate.as_dict() for i, name in enumerate(m.metric) if not m.target[i]},
    )  # fmt: skip


def unreadable(name: str, reason: str, gate: Gate, *, device: str = "", code: int = EXIT_INFRASTRUCTURE) -> CheckResult:
    """The result for a run that is not finished, cannot be read or cannot be held against this gate: nothing is said of the device.

    Args:
        name: What to call the run.
        reason: What is wrong.
        gate: For the record.
        device: Its name, where that much is known. A run's name would not do: whatever follows a device over time would see a new one.
        code: Exit code of the gate.
    """
    case = Case(kind="run", name="run", target="", outcome="error", reason=reason)
    return CheckResult(
        run_id="", device=device, taken_at="", answer=f"{name}: no result to check. {reason}", exit_code=code, cases=(case,),
        properties={"fail_on": ", ".join(gate.fail_on)}, metrics={},
    )  # fmt: skip


def _counts_for(case: Case, gate: Gate) -> bool:
    """Whether the outcome of a case may decide the gate.

    A change that is too uncertain to tell does not: some always are, and a regression is a significant one. An estimate that is lost does.
    """
    if case.outcome == "failed":
        return ("met" in gate.fail_on) if case.kind != "regression" else "never" not in gate.fail_on
    if case.outcome == "cannot_tell":
        unsure = case.kind == "regression" and case.p_value is not None
        return case.gates and not unsure and "undetermined" in gate.fail_on
    return case.gates


def _exit_code(cases: Sequence[Case]) -> int:
    """The gravest answer: what is known to be wrong, then what is not known, infrastructure first."""
    seen = {("regression" if c.kind == "regression" else "failed") if c.outcome == "failed" else c.outcome for c in cases if c.gates}
    order = {"failed": EXIT_FAILED, "regression": EXIT_REGRESSION, "error": EXIT_INFRASTRUCTURE, "cannot_tell": EXIT_UNDETERMINED}
    return next((code for outcome, code in order.items() if outcome in seen), EXIT_PASSED)


def _answer(device: str, cases: Sequence[Case], code: int) -> str:
    """The sentence that answers: passed or not, and the gravest reason."""
    if code == EXIT_PASSED:
        reported = sum(c.outcome != "passed" for c in cases)
        more = f", {reported:,} of them only reported" if reported else ""
        return f"{device}: the gate is passed ({len(cases):,} case{'s' if len(cases) != 1 else ''}{more})."
    outcome = {EXIT_INFRASTRUCTURE: "error", EXIT_UNDETERMINED: "cannot_tell"}.get(code, "failed")
    found = [c for c in cases if c.gates and c.outcome == outcome and (outcome != "failed" or (c.kind == "regression") == (code == EXIT_REGRESSION))]
    head = {
        EXIT_FAILED: "the gate fails", EXIT_REGRESSION: "worse than the baseline", EXIT_UNDETERMINED: "cannot tell",
        EXIT_INFRASTRUCTURE: "data are missing, and nothing is said of the device",
    }[code]  # fmt: skip
    rest = sum(c.gates and c.outcome != "passed" for c in cases) - 1
    more = f"; and {rest:,} more" if rest else ""
    return f"{device}: {head}. {found[0].reason.rstrip('.')}{more}."


def _counts(m: Measurements) -> Case:
    """Whether all data are there."""
    lost = [f"{name} {target}".rstrip() for name, target, s in zip(m.metric, m.target, m.status, strict=True) if s == "no_data"]
    if m.whole:
        return Case(kind="run", name="run", target="", outcome="passed", reason="all planned circuits have counts")
    what = [f"{m.missing:,} planned circuits have no counts"] if m.missing else []
    if lost:
        what.append(f"{len(lost):,} numbers lack data ({', '.join(lost[:3])}{', ...' if len(lost) > 3 else ''})")
    return Case(kind="run", name="run", target="", outcome="error", reason=f"{'; '.join(what)}. This says nothing about the device")


def _rules(run: RunRecords, gate: Gate, incomplete: bool) -> Iterable[Case]:
    verdicts = {v.instrument: v for v in run.verdicts.verdicts}
    for name in gate.instruments if gate.instruments is not None else verdicts:
        if name not in verdicts:
            raise InputError(f"no verdict by {name!r} in this run: {near_matches(name, verdicts)}")
        yield _rule(verdicts[name], incomplete)


def _rule(v: Verdict, incomplete: bool) -> Case:
    outcome = {"met": "failed", "undetermined": "error" if incomplete else "cannot_tell"}.get(v.outcome, "passed")
    if v.outcome == "not_verified":
        return Case(kind="rule", name=v.instrument, target="", outcome="cannot_tell", reason=v.reason, gates=False)
    return Case(kind="rule", name=v.instrument, target="", outcome=outcome, reason=v.reason)


def _limit(m: Measurements, limit: Limit, gate: Gate, incomplete: bool) -> list[Case]:
    rows = _rows(m, limit)
    if not rows:
        known = [t for name, t in zip(m.metric, m.target, strict=True) if name == limit.metric]
        raise InputError(f"no {limit.metric} {limit.target!r} in this run: {near_matches(limit.target, known, 20)}")
    cases = []
    for end, sign in (("max", 1.0), ("min", -1.0)):
        bound = getattr(limit, end)
        if bound is not None:
            cases += _held(m, rows, end, sign, bound, gate, incomplete=incomplete and limit.metric not in PER_TARGET)
    return cases


def _rows(m: Measurements, limit: Limit) -> list[int]:
    wanted = {limit.target, "-".join(reversed(limit.target.split("-")))}
    return [i for i, (name, t) in enumerate(zip(m.metric, m.target, strict=True)) if name == limit.metric and (not limit.target or t in wanted)]


def _held(m: Measurements, rows: list[int], end: str, sign: float, bound: float, gate: Gate, *, incomplete: bool) -> list[Case]:
    """One case a row. One row is decided by its interval; of many, those beyond the limit are found at the rate of false discoveries."""
    ends = (m.low, m.high) if end == "max" else (m.high, m.low)
    beyond, within = sign * (ends[0][rows] - bound) > 0, sign * (ends[1][rows] - bound) <= 0
    if len(rows) > 1:
        excess, error, dof = sign * (m.best[rows] - bound), m.error[rows], m.dof[rows]
        beyond = false_discovery_rate(probability_of_excess(excess, error, dof)) <= gate.fdr
        within = ~beyond & (((error == 0) & (excess <= 0)) | (probability_of_excess(-excess, error, dof) <= gate.fdr))
    out = []
    for i, is_beyond, is_within in zip(rows, beyond.tolist(), within.tolist(), strict=True):
        row = m.row(i)
        if row.status == "no_data" or incomplete:
            outcome, says = "error", "counts are missing"
        elif row.status != "ok":
            outcome, says = "cannot_tell", f"no estimate ({row.status.replace('_', ' ')})"
        else:
            outcome = "failed" if is_beyond else "passed" if is_within else "cannot_tell"
            where = {"failed": "beyond", "passed": "within", "cannot_tell": "too close to tell from"}[outcome]
            says = f"{_words(row.estimate.as_dict())}, {where} the {end} of {_plain(bound)}"
        reason = f"{in_words(row.metric, row.target)}: {says}"
        value = row.estimate.as_dict()
        out.append(Case(kind="limit", name=row.metric, target=row.target, outcome=outcome, reason=reason, value=value, limit=bound, end=end))
    return out


def _words(value: Any) -> str:
    if value["best"] is None:
        return "no estimate"
    low, best, high = (_plain(value[end]) for end in ("low", "best", "high"))
    return best if low == high else f"{best} ({low} to {high})"


def _plain(value: float) -> str:
    """A number as people write it: 133, 4.1e-3."""
    return f"{value:.6g}" if value == 0 or abs(value) >= 1 else short(float(f"{value:.3g}"))


def _percent(change: float) -> str:
    """A relative change as people write it: +2.31 %, -12.5 %, +2,290 %."""
    return f"{100 * change:+,.0f} %" if abs(change) >= 1 else f"{100 * change:+.3g} %"


def _regressions(comparison: Comparison) -> Iterable[Case]:
    for c in comparison.changes:
        outcome = {"worse": "failed", "not_worse": "passed", "no_data": "error"}.get(c.outcome, "cannot_tell")
        numbers = c.as_dict()
        yield Case(
            kind="regression", name=c.metric, target=c.target, outcome=outcome, reason=_change(c, comparison.max_regression),
            value=numbers["after"], before=numbers["before"], limit=comparison.max_regression, p_value=numbers["p_value"],
            q_value=numbers["q_value"], gates=c.reason not in (NEW, REGROUPED),
            lost=c.outcome == "cannot_tell" and numbers["after"]["best"] is None and numbers["before"]["best"] is not None,
        )  # fmt: skip


def _change(c: Change, tolerated: float) -> str:
    what = in_words(c.metric, c.target)
    if c.reason:
        return f"{what}: {c.reason}"
    more = f" ({_percent(c.change)})" if np.isfinite(c.change) else ""
    tolerated_words = f"more than {100 * tolerated:g} % worse"
    says = {"worse": f"{tolerated_words} (q {'< 1e-9' if c.q_value < 1e-9 else f'= {c.q_value:.2g}'})", "not_worse": f"not {tolerated_words}"}.get(
        c.outcome, f"cannot tell whether it is {tolerated_words}"
    )
    if c.metric == "works" and c.outcome == "worse":
        says = "worked in the baseline, and does not now"
    return f"{what}: {_words(c.after.as_dict())} now, {_words(c.before.as_dict())} before{more}: {says}"

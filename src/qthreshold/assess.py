"""Judging numbers that come without a run: a data sheet, or a device's own reported calibration; and what every judgement holds."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydantic

from qthreshold.backends import describe_device
from qthreshold.device import Device
from qthreshold.errors import InputError
from qthreshold.evidence import Evidence, RegisterEvidence, reported_evidence, sheet_readings
from qthreshold.frontier import Frontier, reported_frontier
from qthreshold.interpretation import Interpretation
from qthreshold.metrics import DeviceMetrics
from qthreshold.numerics.graphs import largest_components
from qthreshold.recipe import Criteria
from qthreshold.rulebook import Instrument, load_instruments
from qthreshold.system import NeighbourVerdict, evaluate_system, load_sheet
from qthreshold.verdict import Verdict, Verdicts, judge_all
from qthreshold.what_if import WhatIf, what_if

__all__ = [
    "Assessment", "ReportedDevice", "assess", "assess_device", "assess_sheet", "assess_system", "changed_criteria", "checked_confidence", "judge",
    "today",
]  # fmt: skip

_SHEET = Interpretation(context="unstated", estimate="unstated", connected="unstated")
_REPORTED = Interpretation(context="unstated", gate="native", estimate="reported", connected="reported")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedDevice:
    """What a device reports about itself; nothing was measured.

    Attributes:
        name, source: The device and where its description comes from, such as the time of the calibration.
        n_qubits: All qubits.
        working: Qubits that meet the criteria by their reported errors and have a pair that does.
        connected: Those of them that hang together.
        pairs: Pairs between these that report an error.
        silent_pairs: Pairs between these that report none.
        mean, median, best, worst: Reported error of the native two-qubit gate over ``pairs``.
        criteria: What counts as working; a number that is not reported is not held against a qubit or pair.
    """

    name: str
    source: str
    n_qubits: int
    working: int
    connected: int
    pairs: int
    silent_pairs: int
    mean: float
    median: float
    best: float
    worst: float
    criteria: Criteria

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "name": self.name, "source": self.source, "basis": "reported, not measured", "n_qubits": self.n_qubits, "working_qubits": self.working,
            "connected_working_qubits": self.connected, "pairs": self.pairs, "pairs_without_error": self.silent_pairs,
            "two_qubit_error": {"mean": self.mean, "median": self.median, "best": self.best, "worst": self.worst},
            "criteria": self.criteria.model_dump(),
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """Verdicts and what they rest on.

    Attributes:
        evidence: Every reading that the data allow, the default first.
        verdicts: Of all instruments, under the default and under every other reading.
        what_ifs: What it would take, one for each instrument that gives a verdict.
        frontier: Best connected sub-registers; None for data sheets.
        reported: The device's own calibration; None where it is not what was judged.
        metrics: The device as measured; None where nothing was.
    """

    evidence: tuple[Evidence | RegisterEvidence, ...]
    verdicts: Verdicts
    what_ifs: tuple[WhatIf, ...]
    frontier: Frontier | None = None
    reported: ReportedDevice | None = None
    metrics: DeviceMetrics | None = None


def today() -> datetime.date:
    """The day it is, in UTC."""
    return datetime.datetime.now(datetime.UTC).date()


def checked_confidence(confidence: float) -> float:
    """A confidence that can be used.

    Raises:
        InputError: It cannot.
    """
    if not 0.5 <= confidence < 1:
        raise InputError(f"the confidence must be at least 0.5 and below 1, got {confidence:g}")
    return confidence


def changed_criteria(criteria: Criteria, changes: Mapping[str, float] | None) -> Criteria:
    """Criteria for a working qubit with some of them changed.

    Raises:
        InputError: A criterion does not exist, or its value is no probability above 0.
    """
    try:
        return Criteria.model_validate(criteria.model_dump() | dict(changes or {}))
    except pydantic.ValidationError as error:
        fault = error.errors(include_url=False)[0]
        name, known = ".".join(map(str, fault["loc"])), ", ".join(Criteria.model_fields)
        what = f"unknown criterion {name!r}" if fault["type"] == "extra_forbidden" else f"criterion {name}: {fault['msg']}, got {fault['input']!r}"
        raise InputError(f"{what}. Known: {known}, each above 0 and at most 1") from None


def assess(
    instruments: Sequence[Instrument], evidence: Sequence[Evidence | RegisterEvidence], day: datetime.date, *, metrics: DeviceMetrics | None = None,
    frontier: Frontier | None = None, reported: ReportedDevice | None = None, executions: int | None = None,
) -> Assessment:  # fmt: skip
    """Judge every reading by every instrument.

    Args:
        instruments: The instruments.
        evidence: The readings, the default (of the whole device) first.
        day: The day that the law is asked for.
        metrics: What was measured, if anything.
        frontier: Best sub-registers behind the evidence, if any.
        reported: The device's own calibration, if that is judged.
        executions: Executions behind the evidence, if circuits were run.
    """
    ids = {} if metrics is None or frontier is None else {"metrics_id": metrics.id, "frontier_id": frontier.id}
    verdicts = judge_all(instruments, evidence, day, **ids)
    default = evidence[0]
    return Assessment(
        evidence=tuple(evidence), verdicts=verdicts, frontier=frontier, reported=reported, metrics=metrics,
        what_ifs=tuple(
            what_if(i, default, v, executions)
            for i, v in zip(instruments, verdicts.verdicts, strict=True)
            if v.position is not None and isinstance(default, Evidence)
        ),
    )  # fmt: skip


def assess_sheet(
    *, qubits: int, cnot_error: float, low: float | None = None, high: float | None = None, confidence: float = 0.95,
    rules: Sequence[str] | None = None, as_of: datetime.date | None = None, rules_dir: Path | None = None,
) -> Assessment:  # fmt: skip
    """Judge stated numbers, such as those of a data sheet; arguments as for :func:`judge`.

    Raises:
        InputError: A number is out of range or a rule does not exist.
    """
    try:
        evidence = sheet_readings(qubits, cnot_error, low, high, confidence, _SHEET)
    except ValueError as error:
        raise InputError(str(error)) from None
    return assess(load_instruments(_listed(rules), rules_dir), evidence, as_of or today())


def judge(
    *, qubits: int, cnot_error: float, low: float | None = None, high: float | None = None, confidence: float = 0.95,
    rules: Sequence[str] | None = None, as_of: datetime.date | None = None, rules_dir: Path | None = None,
) -> list[Verdict]:  # fmt: skip
    """Classify stated numbers, such as those of a data sheet; nothing is run.

    Args:
        qubits: Connected working qubits.
        cnot_error: Mean C-NOT error, average gate infidelity.
        low: Lower end of its 95 % interval.
        high: Upper end.
        confidence: Level at which to decide.
        rules: Ids of the instruments; all by default.
        as_of: Day to judge on; today by default.
        rules_dir: Directory with rule files of your own, beside the shipped ones.

    Raises:
        InputError: A number is out of range or a rule does not exist.

    Example:
        >>> judge(qubits=133, cnot_error=5e-4, rules=["us-ear"])[0].outcome
        'met'
    """
    found = assess_sheet(
        qubits=qubits, cnot_error=cnot_error, low=low, high=high, confidence=confidence, rules=rules, as_of=as_of, rules_dir=rules_dir
    )
    return list(found.verdicts.verdicts)


def assess_device(
    spec: str, *, confidence: float = 0.95, rules: Sequence[str] | None = None, as_of: datetime.date | None = None,
    rules_dir: Path | None = None, criteria: Mapping[str, float] | None = None,
) -> Assessment:  # fmt: skip
    """Judge a device by its own reported calibration; no circuit is run.

    Args:
        spec: ``fake:FakeTorino``, ``ibm:NAME`` or any backend.
        confidence: Level to state.
        rules: Ids of the instruments; all by default.
        as_of: Day to judge on; today by default.
        rules_dir: Directory with rule files of your own.
        criteria: What counts as working, where it differs from the defaults of :class:`.recipe.Criteria`.

    Raises:
        InputError: The spec, a rule or a criterion does not exist, or the device reports no two-qubit error.
        BackendError: The provider could not be asked.
    """
    limits, level = changed_criteria(Criteria(), criteria), checked_confidence(confidence)
    instruments = load_instruments(_listed(rules), rules_dir)
    device = describe_device(spec)
    working, member, inside = _working(device, limits)
    error = device.edge_error[inside]
    known = np.isfinite(error)
    if not known.any():
        raise InputError(f"{device.name} reports no two-qubit error of a working pair, so it cannot be judged without running circuits")
    reported = ReportedDevice(
        name=device.name, source=device.source, n_qubits=device.n_qubits, working=int(working.sum()), connected=int(member.sum()),
        pairs=int(known.sum()), silent_pairs=int((~known).sum()), mean=float(error[known].mean()), median=float(np.median(error[known])),
        best=float(error[known].min()), worst=float(error[known].max()), criteria=limits,
    )  # fmt: skip
    frontier = reported_frontier(device.n_qubits, device.edges[inside], error, level)
    evidence = reported_evidence(reported.connected, error[known], frontier, _REPORTED, level, (f"device {device.id}",))
    return assess(instruments, evidence, as_of or today(), frontier=frontier, reported=reported)


def assess_system(
    sheet: str, *, rules: Sequence[str] | None = None, as_of: datetime.date | None = None, rules_dir: Path | None = None
) -> tuple[NeighbourVerdict, ...]:  # fmt: skip
    """Judge the equipment of a lab by the entries beside that for quantum computers.

    Args:
        sheet: Name of a shipped system sheet, or path of a TOML file.
        rules: Ids of the instruments; all by default.
        as_of: Day to judge on; today by default.
        rules_dir: Directory with rule files of your own.

    Raises:
        InputError: The sheet or a rule does not exist or is not valid, or none of the rules has such entries.
    """
    instruments = load_instruments(_listed(rules), rules_dir)
    found = evaluate_system(load_sheet(sheet), instruments, as_of or today())
    if not found:
        raise InputError(f"no entry for such equipment is stated in {', '.join(i.id for i in instruments)}")
    return found


def _working(device: Device, criteria: Criteria) -> tuple[Any, Any, Any]:
    """By reported numbers: which qubits work ``(n,)``, which of them hang together ``(n,)``, rows of the working pairs between these."""
    up = np.zeros(device.n_qubits, dtype=bool)
    up[device.usable_qubits] = True
    up &= ~(device.qubit_error > criteria.one_qubit_error) & ~(device.readout_error > criteria.readout_error)  # NaN: not held against it
    usable = device.usable_edges
    pairs = usable[~(device.edge_error[usable] > criteria.cnot_error) & up[device.edges[usable]].all(axis=1)]
    alive = np.zeros(len(device.edges), dtype=bool)
    alive[pairs] = True
    working = np.zeros_like(up)
    working[device.edges[pairs].ravel()] = True
    member = largest_components(device.n_qubits, device.edges, working[None], alive[None])[0]
    return working, member, pairs[member[device.edges[pairs]].all(axis=1)]


def _listed(rules: Sequence[str] | None) -> list[str] | None:
    return None if rules is None else list(rules)

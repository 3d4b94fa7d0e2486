"""Every number of a run that is compared, gated and followed over time, as one table.

A row is a metric of a target: of the whole device (target empty), of a pair (``3-4``) or of a qubit (``5``). Each row carries the degrees
of freedom behind its interval, so that a test needs nothing but the table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from qthreshold.identity import Interval, Record
from qthreshold.numerics.decay import REJECTED
from qthreshold.numerics.intervals import mean_of_finite_set, student_t

if TYPE_CHECKING:  # a table that was made needs none of what it was made from, which takes a while to import
    from qthreshold.result import RunRecords

__all__ = [
    "BROKEN",
    "LOWER_IS_WORSE",
    "METRICS",
    "PARTLY",
    "PER_TARGET",
    "WORKS",
    "Measurements",
    "Row",
    "from_dict",
    "in_words",
    "make_measurements",
]

Real = npt.NDArray[np.float64]

METRICS: dict[str, str] = {
    "cnot_error.mean": "mean C-NOT error over the counted pairs",
    "cnot_error.median": "median C-NOT error over the counted pairs",
    "cnot_error.best": "C-NOT error of the best counted pair",
    "cnot_error.worst": "C-NOT error of the worst counted pair",
    "readout_error.mean": "mean readout error over the counted qubits",
    "readout_error.worst": "readout error of the worst counted qubit",
    "one_qubit_error.mean": "mean error per one-qubit Clifford over the counted qubits",
    "one_qubit_error.worst": "error per one-qubit Clifford of the worst counted qubit",
    "working_qubits": "number of working qubits",
    "connected_working_qubits": "number of connected working qubits",
    "cnot_error": "C-NOT error of a pair",
    "readout_error": "readout error of a qubit",
    "one_qubit_error": "error per one-qubit Clifford of a qubit",
    "works": "probability that a qubit works",
}
"""What there is to compare, in words. The last four have a row for each pair or qubit, the others one row for the device."""

PER_TARGET = ("cnot_error", "readout_error", "one_qubit_error", "works")
"""Metrics of pairs and qubits."""

LOWER_IS_WORSE = ("working_qubits", "connected_working_qubits", "works")
"""Metrics of which more is better."""

WORKS, BROKEN = 0.95, 0.05
"""Values of ``works`` from which on, and down from which, it is certain enough that a qubit works, or does not."""

PARTLY = "counts are missing, so the device as a whole was not measured"
"""Why a run has no number of the whole device, and no verdict on it, whatever the counts that came back would give."""


def in_words(metric: str, target: str) -> str:
    """What a number is, in words.

    Example:
        >>> in_words("cnot_error", "3-4"), in_words("works", "5"), in_words("working_qubits", "")
        ('C-NOT error of pair 3-4', 'probability that qubit 5 works', 'number of working qubits')
    """
    words = METRICS[metric]
    return words.replace("a pair", f"pair {target}").replace("a qubit", f"qubit {target}") if target else words


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One number.

    Attributes:
        metric, target: What, and of what; see :data:`METRICS`.
        estimate: NaN where there is none.
        dof: Degrees of freedom behind the interval; infinite where it is normal.
        status: ``ok``; ``no_data`` where counts are missing, which says nothing about the device; otherwise why there is no number.
    """

    metric: str
    target: str
    estimate: Interval
    dof: float
    status: str


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Measurements(Record):
    """All rows of a run, and what must agree before two runs may be compared.

    Attributes:
        run_id: Of the run.
        device: Its name.
        taken_at: When the run was made, RFC 3339.
        calibrated_at, calibration_id: Last calibration as the provider states it; empty where it does not.
        context: What was measured and how, by name; two runs can be compared if all of it is equal.
        origin: Where the numbers come from: seed, recipe, software. Not compared.
        missing: How many planned circuits have no counts.
        level: Confidence level of all intervals.
        metric, target: Of each row, ``(K,)``.
        best, low, high: Estimates, ``(K,)``; error rates are average gate infidelities; NaN where there is none.
        dof: Degrees of freedom behind each interval, ``(K,)``; infinite where it is normal.
        status: Of each row; see :class:`Row`.
    """

    schema: ClassVar[str] = "qthreshold/measurements/1"
    run_id: str
    device: str
    taken_at: str
    calibrated_at: str
    calibration_id: str
    context: Mapping[str, str]
    origin: Mapping[str, str]
    missing: int
    level: float
    metric: tuple[str, ...]
    target: tuple[str, ...]
    best: Real
    low: Real
    high: Real
    dof: Real
    status: tuple[str, ...]

    def _check(self) -> None:
        rows = len(self.metric)
        for name in ("target", "best", "low", "high", "dof", "status"):
            if len(getattr(self, name)) != rows:
                raise ValueError(f"{rows} metrics, but {len(getattr(self, name))} values of {name}")
        if unknown := set(self.metric) - METRICS.keys():
            raise ValueError(f"unknown metrics {sorted(unknown)}")
        if len(set(zip(self.metric, self.target, strict=True))) != rows:
            raise ValueError("a metric of a target stands there twice")
        known = ~np.isnan(self.best)
        if not ((self.low <= self.best) & (self.best <= self.high))[known].all():
            raise ValueError("an interval is not ordered")

    @property
    def error(self) -> Real:
        """Standard errors, ``(K,)``: half the width of the interval over its quantile of Student's t."""
        return np.asarray((self.high - self.low) / (2 * student_t(np.minimum(self.dof, 1e9), self.level)))

    @property
    def whole(self) -> bool:
        """Whether all counts came back. Where not, the numbers of the device as a whole are of a part of it, and so are its verdicts."""
        return self.missing == 0 and "no_data" not in self.status

    def rows(self) -> list[Row]:
        """All rows, in order."""
        return [self.row(i) for i in range(len(self.metric))]

    def row(self, i: int) -> Row:
        """Row ``i``."""
        interval = Interval(low=float(self.low[i]), best=float(self.best[i]), high=float(self.high[i]), level=self.level)
        return Row(metric=self.metric[i], target=self.target[i], estimate=interval, dof=float(self.dof[i]), status=self.status[i])

    def index(self) -> dict[tuple[str, str], int]:
        """Number of the row of each (metric, target)."""
        return {key: i for i, key in enumerate(zip(self.metric, self.target, strict=True))}

    def as_dict(self) -> dict[str, Any]:
        """The JSON form; :func:`from_dict` reads it. Infinite degrees of freedom and NaN are null."""
        return {
            "schema": self.schema, "run_id": self.run_id, "device": self.device, "taken_at": self.taken_at, "calibrated_at": self.calibrated_at,
            "calibration_id": self.calibration_id, "context": dict(self.context), "origin": dict(self.origin), "missing": self.missing,
            "level": self.level, "rows": [
                {"metric": r.metric, "target": r.target, **r.estimate.as_dict(), "dof": r.dof if np.isfinite(r.dof) else None, "status": r.status}
                for r in self.rows()
            ],
        }  # fmt: skip


def from_dict(document: Mapping[str, Any]) -> Measurements:
    """What :meth:`Measurements.as_dict` wrote.

    Raises:
        ValueError: It is of another schema, or damaged.
    """
    if document.get("schema") != Measurements.schema:
        raise ValueError(f"schema {document.get('schema')!r} is not {Measurements.schema!r}")
    rows = document["rows"]

    def column(name: str, missing: float) -> Real:
        return np.array([missing if r[name] is None else r[name] for r in rows], dtype=float)

    def words(name: str) -> tuple[str, ...]:
        return tuple(r[name] for r in rows)

    return Measurements(
        run_id=document["run_id"], device=document["device"], taken_at=document["taken_at"], calibrated_at=document["calibrated_at"],
        calibration_id=document["calibration_id"], context=dict(document["context"]), origin=dict(document["origin"]),
        missing=document["missing"], level=document["level"], metric=words("metric"), target=words("target"), status=words("status"),
        best=column("best", np.nan), low=column("low", np.nan), high=column("high", np.nan), dof=column("dof", np.inf),
    )  # fmt: skip


def make_measurements(run: "RunRecords") -> Measurements:
    """The table of a finished run.

    Args:
        run: Its records.
    """
    device, plan, fits, metrics = run.device, run.plan, run.fits, run.metrics
    recipe = plan.parsed_recipe()
    calibration = next((c for c in reversed(run.calibrations) if c["at"] or c["id"]), {"at": None, "id": None})
    columns = [*_of_device(run), *_of_pairs(run), *_of_qubits(run)]
    metric, target, estimate, dof, status = zip(*columns, strict=True)
    values = np.array(estimate, dtype=float).reshape(-1, 3)
    return Measurements(
        run_id=run.header["run_id"], device=device.name, taken_at=run.header["created_at"],
        calibrated_at=calibration["at"] or "", calibration_id=calibration["id"] or "",
        context={
            "device": device.name, "qubits": str(device.n_qubits), "protocol": recipe.two_qubit.protocol, "gate": recipe.two_qubit.gate,
            "context": plan.context, "spacing": str(recipe.two_qubit.spacing),
            "estimate": fits.estimate, "connected": metrics.connected,
            **{f"criterion {name}": f"{limit:g}" for name, limit in recipe.criteria.model_dump().items()},
            "error suppression": ", ".join(f"{k} {v}" for k, v in recipe.execution.model_dump(exclude_defaults=True).items()) or "none",
        },
        origin={"seed": str(plan.seed), "recipe": recipe.name, "backend": run.header["backend"].split(":")[0], **run.header["software"]},
        missing=len(run.missing), level=fits.level,
        metric=metric, target=target, best=values[:, 0], low=values[:, 1], high=values[:, 2], dof=np.array(dof, dtype=float), status=status,
    )  # fmt: skip


_Column = tuple[str, str, tuple[float, float, float], float, str]
_NOTHING = (np.nan, np.nan, np.nan)


def _of_device(run: "RunRecords") -> list[_Column]:
    fits, metrics = run.fits, run.metrics
    inside = np.isin(fits.qubits, metrics.members)
    readout, one = fits.readout[inside], fits.one_qubit[inside]
    half = (readout[:, 2] - readout[:, 1]) / (2 * student_t(1e9, fits.level))
    endless = np.full(len(readout), np.inf)
    known = np.isfinite(one[:, 0])
    return [
        *((f"cnot_error.{name}", "", *_interval(getattr(metrics, name), _dof(run, name))) for name in ("mean", "median", "best", "worst")),
        ("readout_error.mean", "", *_mean(readout, half, endless, fits.level)),
        ("readout_error.worst", "", *_worst(readout, endless)),
        ("one_qubit_error.mean", "", *_mean(one[known], fits.one_qubit_error[inside][known], fits.one_qubit_dof[inside][known], fits.level)),
        ("one_qubit_error.worst", "", *_worst(one[known], fits.one_qubit_dof[inside][known])),
        *((name, "", *_interval(getattr(metrics, name), np.inf)) for name in ("working_qubits", "connected_working_qubits")),
    ]  # fmt: skip


def _dof(run: "RunRecords", name: str) -> float:
    """Degrees of freedom of an extreme pair are its own; mean and median are of draws, whose tails are in their quantiles."""
    values, dofs = run.fits.cnot[:, 0], run.fits.cnot_dof
    here = np.flatnonzero(values == getattr(run.metrics, name).best)
    return float(dofs[here[0]]) if here.size and name in ("best", "worst") else np.inf


def _interval(value: Interval, dof: float) -> tuple[tuple[float, float, float], float, str]:
    return (value.best, value.low, value.high), dof, "ok" if np.isfinite(value.best) else "no_estimate"


def _mean(values: Real, errors: Real, dofs: Real, level: float) -> tuple[tuple[float, float, float], float, str]:
    if not len(values):
        return _NOTHING, np.inf, "no_estimate"
    best, low, high, _ = mean_of_finite_set(values[:, 0], errors, dofs, len(values), level)
    return (best, low, high), np.inf, "ok"


def _worst(values: Real, dofs: Real) -> tuple[tuple[float, float, float], float, str]:
    if not len(values):
        return _NOTHING, np.inf, "no_estimate"
    i = int(values[:, 0].argmax())
    return tuple(values[i].tolist()), float(dofs[i]), "ok"


def _of_pairs(run: "RunRecords") -> list[_Column]:
    fits = run.fits
    pairs, values, dofs = run.device.edges[fits.edges].tolist(), fits.cnot.tolist(), fits.cnot_dof.tolist()
    return [
        ("cnot_error", f"{a}-{b}", tuple(v), d, s) if np.isfinite(v[0]) else ("cnot_error", f"{a}-{b}", _NOTHING, np.inf, s)
        for (a, b), v, d, s in zip(pairs, values, dofs, _plain(fits.edge_status, fits.cnot), strict=True)
    ]  # fmt: skip


def _plain(status: tuple[str, ...], values: Real) -> list[str]:
    """``ok`` where there is a number that counts, whatever else the fit has to say; else the status."""
    return ["ok" if np.isfinite(v) and s not in REJECTED else s for s, v in zip(status, values[:, 0].tolist(), strict=True)]


def _of_qubits(run: "RunRecords") -> list[_Column]:
    fits = run.fits
    qubits = [str(q) for q in fits.qubits.tolist()]
    works = run.metrics.works[fits.qubits].tolist()
    read = ["ok" if np.isfinite(v) else "no_data" for v in fits.readout[:, 0].tolist()]
    status = _plain(fits.qubit_status, fits.one_qubit)
    dofs = np.where(np.isfinite(fits.one_qubit[:, 0]), fits.one_qubit_dof, np.inf).tolist()
    lost = _lost(run)
    return [
        *(("readout_error", q, tuple(v), np.inf, s) for q, v, s in zip(qubits, fits.readout.tolist(), read, strict=True)),
        *(("one_qubit_error", q, tuple(v), d, s) for q, v, d, s in zip(qubits, fits.one_qubit.tolist(), dofs, status, strict=True)),
        *(("works", q, (w, w, w), np.inf, "no_data" if q in lost and w < 0.5 else "ok") for q, w in zip(qubits, works, strict=True)),
    ]  # fmt: skip


def _lost(run: "RunRecords") -> set[str]:
    """Qubits of which counts are missing, be it of their own or of a pair."""
    fits = run.fits
    own = fits.qubits[[s == "no_data" for s in fits.qubit_status]]
    pairs = run.device.edges[fits.edges[[s == "no_data" for s in fits.edge_status]]]
    return {str(q) for q in (*own.tolist(), *pairs.ravel().tolist())}

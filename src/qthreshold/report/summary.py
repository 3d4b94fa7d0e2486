"""The JSON summary (schema ``qthreshold/summary/1``)."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from qthreshold.backends.noise import Truth
from qthreshold.device import Device
from qthreshold.fits import NOT_MEASURED, FittedErrors
from qthreshold.frontier import Frontier
from qthreshold.identity import Interval
from qthreshold.interpretation import changes, interpretation_dict
from qthreshold.metrics import CRITERIA, DeviceMetrics
from qthreshold.plan import Plan
from qthreshold.result import RunRecords
from qthreshold.verdict import Verdicts

__all__ = ["SCHEMA", "frontier_dict", "make_matrix", "make_summary"]

SCHEMA = "qthreshold/summary/1"


def make_summary(run: RunRecords) -> dict[str, Any]:
    """Everything a script needs, as plain JSON values; numbers that do not exist are null."""
    header, device, plan, fits, metrics, truth, verdicts = run.header, run.device, run.plan, run.fits, run.metrics, run.truth, run.verdicts
    cost = run.cost
    return {
        "schema": SCHEMA,
        "run_id": header["run_id"],
        "created_at": header["created_at"],
        "software": dict(header["software"]),
        "seed": plan.seed,
        "backend": header["backend"],
        "recipe": plan.recipe["name"],
        "device": {
            "name": device.name, "source": device.source, "n_qubits": device.n_qubits, "n_edges": len(device.edges),
            "two_qubit_gate": device.two_qubit_gate,
        },
        "qubits": _qubits(device, fits, metrics),
        "not_measured": _not_measured(fits),
        "missing_circuits": list(run.missing),
        "settings": dict(header.get("settings", {})),
        "edges": _edges(device, plan, fits, metrics, truth),
        "working_qubits": metrics.working_qubits.as_dict(),
        "connected_working_qubits": metrics.connected_working_qubits.as_dict(),
        "connected": metrics.connected,
        "criteria": plan.parsed_recipe().criteria.model_dump(),
        "cnot_error": {
            "estimate": metrics.estimate,
            "mean": metrics.mean.as_dict(), "median": metrics.median.as_dict(), "best": metrics.best.as_dict(), "worst": metrics.worst.as_dict(),
            "systematic": [_number(metrics.systematic_low), _number(metrics.systematic_high)],
            "true_mean": _true_mean(device, fits, metrics, truth),
            "measured_edges": len(metrics.member_edges), "unmeasured_edges": metrics.unmeasured_edges,
            "failed_edges": metrics.failed_edges,
            "interpretation": interpretation_dict(verdicts.verdicts[0].interpretation) if verdicts.verdicts else {},
        },
        "verdicts": [v.as_dict() for v in verdicts.verdicts],
        "disagreements": [v.as_dict() for v in verdicts.disagreements],
        "matrix": make_matrix(verdicts),
        "frontier": frontier_dict(run.frontier),
        "cost": {
            "circuits": cost.circuits, "executions": cost.executions, "jobs": cost.jobs, "estimated_qpu_seconds": round(cost.estimated_seconds, 3),
            "actual_qpu_seconds": run.charged, "wall_seconds": dict(run.seconds),
        },
    }  # fmt: skip


def make_matrix(verdicts: Verdicts) -> list[dict[str, Any]]:
    """Every reading that the data allow, the default first: what is changed, and the outcome of each instrument that gives a verdict."""
    if not verdicts.verdicts:
        return []
    default = verdicts.verdicts[0].interpretation
    rows: dict[str, dict[str, Any]] = {}
    for v in (*(v for v in verdicts.verdicts if v.position is not None), *verdicts.alternatives):
        i = v.interpretation
        row = rows.setdefault(i.id, {"changes": changes(i, default), "interpretation": interpretation_dict(i), "outcomes": {}})
        row["outcomes"][v.instrument] = {"outcome": v.outcome, "entry": v.entry, "probability_met": v.probability_met}
    return list(rows.values())


def frontier_dict(frontier: Frontier) -> dict[str, Any]:
    """The frontier as lists over sizes. ``picked`` is biased low by the picking, ``cnot_error`` is not; ``bound`` belongs to ``picked``."""
    low, best, high = frontier.cross[:, [1, 0, 2]].T.tolist()
    return {
        "reason": frontier.reason or None, "sizes": frontier.sizes.tolist(), "picked": frontier.picked.tolist(), "bound": frontier.bound.tolist(),
        "cnot_error": {"low": low, "best": best, "high": high, "level": frontier.level},
    }  # fmt: skip


def _true_mean(device: Device, fits: FittedErrors, metrics: DeviceMetrics, truth: Truth | None) -> float | None:
    """Truth of what the mean estimates: all usable pairs inside the component, measured or not, less those judged not to work."""
    if truth is None or not len(metrics.member_edges):
        return None
    inside = device.usable_edges[np.isin(device.edges[device.usable_edges], metrics.members).all(axis=1)]
    rejected = np.setdiff1d(fits.edges[np.isfinite(fits.cnot[:, 0])], metrics.member_edges)
    return float(truth.cnot_error[np.setdiff1d(inside, rejected)].mean())


def _qubits(device: Device, fits: FittedErrors, metrics: DeviceMetrics) -> list[dict[str, Any]]:
    row = {q: i for i, q in enumerate(fits.qubits.tolist())}
    readout, one_qubit = _intervals(fits.readout, fits.level), _intervals(fits.one_qubit, fits.level)
    works, met = metrics.works.tolist(), metrics.criteria_met.tolist()
    out = []
    for q in range(device.n_qubits):
        i = row.get(q)
        status = device.qubit_status[q] if i is None else fits.qubit_status[i] if works[q] >= 0.5 else "not_working"
        out.append({
            "qubit": q, "works": round(works[q], 6),
            **{f"meets_{name}": round(p, 6) for name, p in zip(CRITERIA, met[q], strict=True)},
            "readout_error": readout[i] if i is not None else _nothing(fits.level),
            "one_qubit_error": one_qubit[i] if i is not None else _nothing(fits.level),
            "status": status, "reason": metrics.qubit_reason[q] or (fits.qubit_reason[i] if i is not None else "") or None,
        })  # fmt: skip
    return out


def _not_measured(fits: FittedErrors) -> dict[str, list[int]]:
    """Measured qubits of which a criterion for a working qubit was not checked, by the field that is empty for them."""
    one = [s == NOT_MEASURED for s in fits.qubit_status]
    return {
        name: fits.qubits[np.array(lacking, dtype=bool)].tolist()
        for name, lacking in (("readout_error", np.isnan(fits.readout[:, 0])), ("one_qubit_error", one))
    }


def _edges(device: Device, plan: Plan, fits: FittedErrors, metrics: DeviceMetrics, truth: Truth | None) -> list[dict[str, Any]]:
    row, counted = {e: i for i, e in enumerate(fits.edges.tolist())}, set(metrics.member_edges.tolist())
    errors = {
        name: _intervals(values, fits.level)
        for name, values in (
            ("cnot_error", fits.cnot), ("epc", fits.epc), ("upper_cnot_error", fits.cnot_upper), ("p_ref", fits.p_ref), ("p_int", fits.p_int)
        )
    }  # fmt: skip
    systematic, chi2 = _numbers(fits.systematic), _numbers(fits.chi2_per_dof)
    true = _numbers(truth.cnot_error) if truth is not None else [None] * len(device.edges)
    out = []
    for e, pair in enumerate(device.edges.tolist()):
        i = row.get(e)
        if i is None:
            excluded = device.edge_status[e] in ("absent", "faulty")
            status = device.edge_status[e] if excluded else "not_measured"
            reason = device.edge_reason[e] if excluded else _why_unmeasured(device, pair, plan)
        else:
            status, reason = fits.edge_status[i], fits.edge_reason[i]
        of = {name: column[i] if i is not None else _nothing(fits.level) for name, column in errors.items()}
        out.append({
            "edge": pair, "cnot_error": of["cnot_error"], "epc": of["epc"], "upper_cnot_error": of["upper_cnot_error"],
            "systematic": systematic[i] if i is not None else [None, None], "p_ref": of["p_ref"], "p_int": of["p_int"],
            "chi2_per_dof": chi2[i] if i is not None else None, "status": status, "reason": reason or None, "counted": e in counted,
            "true_cnot_error": true[e],
        })  # fmt: skip
    return out


def _why_unmeasured(device: Device, pair: list[int], plan: Plan) -> str:
    for q in pair:
        if device.qubit_status[q] in ("absent", "faulty"):
            return f"qubit {q}: {device.qubit_reason[q]}"
    return f"not among the {len(plan.edges)} pairs that the recipe measures"


def _intervals(values: npt.NDArray[np.float64], level: float) -> list[dict[str, float | None]]:
    """The JSON form of many intervals ``(N, 3)``: best, low, high."""
    best, low, high = values.T
    odd = np.flatnonzero(~np.isnan(best) & ~((low <= best) & (best <= high)))
    for i in odd[:1].tolist():
        Interval(low=low[i], best=best[i], high=high[i], level=level)  # says what is wrong
    return [{"low": b, "best": a, "high": c, "level": level} for a, b, c in _numbers(values)]


def _nothing(level: float) -> dict[str, float | None]:
    return Interval(low=math.nan, best=math.nan, high=math.nan, level=level).as_dict()


def _number(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


def _numbers(values: npt.NDArray[np.float64]) -> list[Any]:
    """Nested lists, with None for what is not finite."""
    out = values.astype(object)
    out[~np.isfinite(values)] = None
    return list(out.tolist())

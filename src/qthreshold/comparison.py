"""Whether a device got worse: one-sided tests between a run and earlier ones, with the uncertainty of both.

The question of each test is whether the value is now more than the tolerated share worse than it was. ``worse``: yes, significantly, at a
rate of false discoveries that all tests together keep. ``not_worse``: a change beyond the tolerance is excluded. ``cannot_tell``: neither.
What lacks counts is ``no_data``: that is about the infrastructure, and says nothing about the device.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from qthreshold.errors import InputError
from qthreshold.identity import Interval
from qthreshold.measurements import BROKEN, LOWER_IS_WORSE, PARTLY, PER_TARGET, WORKS, Measurements
from qthreshold.numerics.comparison import false_discovery_rate, mean_of_repeats, probability_of_excess
from qthreshold.numerics.intervals import satterthwaite, student_t

__all__ = ["CHANGES", "NEW", "OF_DEVICE", "REGROUPED", "Change", "Comparison", "compare_measurements"]

Real = npt.NDArray[np.float64]

OF_DEVICE = ("cnot_error.mean", "readout_error.mean", "one_qubit_error.mean", "working_qubits", "connected_working_qubits")
"""Metrics of the whole device that are compared; medians and extremes follow from the pairs and qubits, which are all compared."""
CHANGES = ("worse", "not_worse", "cannot_tell", "no_data")
"""Outcomes of a comparison."""
NEW = "not measured in the baseline"
"""Reason of what cannot be compared because the baseline lacks it."""
REGROUPED = "other qubits and pairs count than in the baseline, so their means are not compared"
"""Reason why means are not compared: a dead qubit that was bad would make the device look better, and one that was mended worse."""
_MEANS = ("cnot_error.mean", "readout_error.mean", "one_qubit_error.mean")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One metric of one target, before and after.

    Attributes:
        metric, target: What, and of what; see :data:`.measurements.METRICS`.
        before: The baseline; the mean where it is several runs.
        after: The run.
        change: Relative change, (after - before) / before; NaN where there is none.
        p_value: One-sided, that it is not worse by more than is tolerated; NaN without an estimate on either side.
        q_value: Adjusted for the number of tests.
        outcome: ``worse``, ``not_worse``, ``cannot_tell`` or ``no_data``.
        reason: Why there is no estimate; empty where there is one.
    """

    metric: str
    target: str
    before: Interval
    after: Interval
    change: float
    p_value: float
    q_value: float
    outcome: str
    reason: str = ""

    @property
    def title(self) -> str:
        """``cnot_error 3-4``."""
        return f"{self.metric} {self.target}".rstrip()

    def as_dict(self) -> dict[str, Any]:
        """The JSON form; NaN as null."""
        numbers = {name: _number(getattr(self, name)) for name in ("change", "p_value", "q_value")}
        return {
            "metric": self.metric, "target": self.target, "before": self.before.as_dict(), "after": self.after.as_dict(), **numbers,
            "outcome": self.outcome, "reason": self.reason,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All changes between a baseline and a run.

    Attributes:
        device: Name of the device.
        run_id: The run.
        baseline: Ids of the runs that it is compared with.
        max_regression: Tolerated relative change.
        fdr: Rate of false discoveries.
        changes: First those of the device, then of pairs, then of qubits.
    """

    device: str
    run_id: str
    baseline: tuple[str, ...]
    max_regression: float
    fdr: float
    changes: tuple[Change, ...]

    def having(self, outcome: str) -> tuple[Change, ...]:
        """Changes of an outcome, the most significant first.

        Raises:
            ValueError: There is no such outcome.
        """
        if outcome not in CHANGES:
            raise ValueError(f"outcome {outcome!r} is none of {', '.join(CHANGES)}")
        return tuple(sorted((c for c in self.changes if c.outcome == outcome), key=lambda c: (np.isnan(c.p_value), c.p_value)))

    def as_dict(self) -> dict[str, Any]:
        """The JSON form (schema ``qthreshold/comparison/1``)."""
        fields = {k: v for k, v in asdict(self).items() if k != "changes"} | {"baseline": list(self.baseline)}
        return {"schema": "qthreshold/comparison/1", **fields, "changes": [c.as_dict() for c in self.changes]}


def compare_measurements(
    baseline: Sequence[Measurements], after: Measurements, *, max_regression: float = 0.05, fdr: float = 0.05
) -> Comparison:  # fmt: skip
    """Test every number of a run against a baseline.

    With one run as baseline, ordinary changes from night to night count as changes. With several, the scatter between them is part of
    the uncertainty, and only what stands out of it is worse.

    Args:
        baseline: Earlier runs, at least one.
        after: The run.
        max_regression: Relative change for the worse that is tolerated, 0 or more.
        fdr: Expected share of false ones among the changes that are called worse, between 0 and 1.

    Raises:
        InputError: A run of the baseline is of another device, or was measured or counted otherwise.
    """
    if not baseline:
        raise ValueError("a baseline has at least one run")
    if not 0 < fdr < 1 or not max_regression >= 0:
        raise ValueError(f"the rate of false discoveries lies between 0 and 1 and the tolerance is not negative, got {fdr} and {max_regression}")
    for earlier in baseline:
        _require_same(earlier, after)
    keys = [(name, "") for name in OF_DEVICE] + sorted(
        {k for m in (*baseline, after) for k in zip(m.metric, m.target, strict=True) if k[0] in PER_TARGET}, key=_order
    )
    old, new = np.stack([_columns(m, keys) for m in baseline], axis=1), _columns(after, keys)
    means = np.array([metric in _MEANS for metric, _ in keys])
    alike = np.array([_counted(earlier) == _counted(after) for earlier in baseline])
    old[:, ~alike[:, None] & means] = np.nan  # a mean over other pairs and qubits is another number
    tests = _tests(old, new, np.array([k[0] in LOWER_IS_WORSE for k in keys]), max_regression)
    p_value = np.where([metric == "works" for metric, _ in keys], np.nan, tests.worse)
    q_value = false_discovery_rate(p_value)
    at, incomplete = after.index(), not after.whole
    changes = []
    for i, (metric, target) in enumerate(keys):
        status = after.status[at[metric, target]] if (metric, target) in at else "absent"
        if status not in ("ok", "no_data") and np.isnan(tests.before[i]):
            continue  # there was no number and there is none
        outcome, reason = _outcome(status, incomplete and not target, tests.fine[i], q_value[i], fdr, bool(np.isnan(tests.before[i])))
        if metric in _MEANS and reason == NEW and not alike.any():
            reason = REGROUPED
        if metric == "works" and not reason:
            outcome, reason = _stopped(old[0, :, i], float(new[0, i]))
        before, now = _around(tests.before[i], tests.before_error[i], tests.before_dof[i], after.level), _interval(after, at, metric, target)
        with np.errstate(divide="ignore", invalid="ignore"):
            change = float((np.float64(now.best) - before.best) / before.best)
        changes.append(Change(
            metric=metric, target=target, before=before, after=now, change=change if np.isfinite(change) else np.nan,
            p_value=float(p_value[i]), q_value=float(q_value[i]), outcome=outcome, reason=reason,
        ))  # fmt: skip
    return Comparison(
        device=after.device, run_id=after.run_id, baseline=tuple(m.run_id for m in baseline), max_regression=float(max_regression), fdr=float(fdr),
        changes=tuple(changes),
    )  # fmt: skip


def _require_same(before: Measurements, after: Measurements) -> None:
    names = [n for n in sorted(before.context.keys() | after.context.keys()) if before.context.get(n) != after.context.get(n)]
    if names:
        differ = "; ".join(f"{n}: {before.context.get(n, 'nothing')} in the baseline, {after.context.get(n, 'nothing')} here" for n in names)
        raise InputError(f"run {before.run_id} is no baseline for run {after.run_id}: {differ}")


def _counted(m: Measurements) -> frozenset[tuple[str, str]]:
    """Qubits that work, and pairs that have an estimate."""
    return frozenset(
        (name, t)
        for name, t, best, status in zip(m.metric, m.target, m.best.tolist(), m.status, strict=True)
        if (name == "works" and best >= 0.5) or (name == "cnot_error" and status == "ok")
    )


def _order(key: tuple[str, str]) -> tuple[int, list[int]]:
    return PER_TARGET.index(key[0]), [int(part) for part in key[1].split("-")]


def _columns(m: Measurements, keys: Sequence[tuple[str, str]]) -> Real:
    """Best estimate, standard error and degrees of freedom of each key, ``(3, K)``; NaN where there is none."""
    at, error = m.index(), m.error
    rows = np.array([at.get(k, -1) for k in keys])
    whole = m.whole
    usable = np.array([r >= 0 and m.status[r] == "ok" and (whole or m.target[r] != "") for r in rows.tolist()], dtype=bool)
    return np.where(usable, np.stack([m.best, error, m.dof])[:, rows], np.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tests:
    """The baseline of each key, and p-values that it is not worse, and that it is not fine, ``(K,)``."""

    before: Real
    before_error: Real
    before_dof: Real
    worse: Real
    fine: Real


def _tests(old: Real, new: Real, more_is_better: npt.NDArray[np.bool_], max_regression: float) -> _Tests:
    """One-sided t-tests of a run against the mean of a baseline.

    Against one run, both errors add. Against several, a run is as uncertain as one of them is by its scatter, or as it says itself if that is more.
    """
    before, variance, dof, n = mean_of_repeats(*old)
    after, error, after_dof = new
    sign = np.where(more_is_better, -1.0, 1.0)
    scale = 1 + sign * max_regression
    excess = sign * (after - scale * before)
    with np.errstate(divide="ignore", invalid="ignore"):
        of_mean = variance / n
    parts = np.stack([error**2, scale**2 * of_mean], axis=-1)
    single, freedom = np.sqrt(parts.sum(axis=-1)), satterthwaite(np.nan_to_num(parts), np.stack([after_dof, dof], axis=-1))
    several = np.sqrt(np.maximum(error**2, variance) + scale**2 * of_mean)
    spread, freedom = np.where(n > 1, several, single), np.where(n > 1, dof, freedom)
    worse = probability_of_excess(excess, spread, freedom)
    fine = np.where((spread == 0) & (excess <= 0), 0.0, probability_of_excess(-excess, spread, freedom))
    return _Tests(before=before, before_error=np.sqrt(of_mean), before_dof=dof, worse=worse, fine=fine)


def _stopped(before: Real, after: float) -> tuple[str, str]:
    """Whether a qubit that worked does not now: probabilities decide, and need no test.

    Args:
        before: Probability that it worked, in each run of the baseline; NaN where that is not known.
        after: Probability that it works.
    """
    known = before[~np.isnan(before)]
    if not known.size or np.mean(known >= WORKS) <= 0.5 or after >= WORKS:
        return "not_worse", ""
    if after <= BROKEN:
        return "worse", ""
    return "cannot_tell", f"worked in the baseline, and works now with a probability of {after:.2g}"


def _outcome(status: str, incomplete: bool, fine: float, q_value: float, fdr: float, new: bool) -> tuple[str, str]:
    """The outcome of one test, and why it is none."""
    if status == "no_data":
        return "no_data", "no counts came back"
    if incomplete:
        return "no_data", PARTLY
    if status == "absent":
        return "cannot_tell", "measured in the baseline, not in this run"
    if status != "ok":
        return "cannot_tell", f"no estimate ({status.replace('_', ' ')})"
    if new:
        return "cannot_tell", NEW
    if q_value <= fdr:
        return "worse", ""
    return ("not_worse", "") if fine <= fdr else ("cannot_tell", "")


def _around(best: float, error: float, dof: float, level: float) -> Interval:
    if np.isnan(best):
        return Interval(low=np.nan, best=np.nan, high=np.nan, level=level)
    half = float(student_t(min(dof, 1e9), level)) * error
    return Interval(low=float(best - half), best=float(best), high=float(best + half), level=level)


def _interval(m: Measurements, at: dict[tuple[str, str], int], metric: str, target: str) -> Interval:
    i = at.get((metric, target))
    return m.row(i).estimate if i is not None else Interval(low=np.nan, best=np.nan, high=np.nan, level=m.level)


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None

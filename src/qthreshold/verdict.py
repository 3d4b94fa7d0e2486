"""Verdict: on which side of an instrument's bands a device falls, with what probability, and how far from the edge.

P(met) is the share of joint draws of (qubits, error) inside a band. At confidence c the outcome is ``met`` if P >= c,
``not_met`` if P <= 1 - c, else ``undetermined``. Evidence, not legal advice.

An upper estimate of the error is judged like any other. Below a limit it supports ``met`` all the more; above one, the C-NOT
error itself may still be below: the reason says so, and the reading with systematics included, in which an upper estimate
reaches down to 0, comes out ``undetermined``.
"""

import datetime
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from qthreshold.identity import Interval, Record, parts
from qthreshold.metrics import DeviceMetrics
from qthreshold.numerics.intervals import normal_half_width, normal_quantiles
from qthreshold.numerics.rates import process_from_average
from qthreshold.rulebook import Band, Instrument, Interpretation, short

__all__ = ["Evidence", "Verdict", "Verdicts", "data_sheet_evidence", "find_disagreements", "judge", "measured_evidence"]

Real = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Evidence(Record):
    """What a verdict is based on.

    Attributes:
        qubits: Best estimate of the connected working qubits.
        error: C-NOT error under the interpretation.
        draw_qubits, draw_error: Joint draws, ``(D,)``; NaN error where there is none.
        systematic_low, systematic_high: Range of the systematic bound about the error; equal to the error if none, from 0 for an upper estimate.
        draw_qubits_if: Qubits if everything that could not be fitted worked, ``(D,)``; a verdict must hold for these too.
        failed_edges: Pairs inside the register that were measured but not fitted.
        failed_shift: How much the error would rise if these were as bad as the criterion for a working pair allows.
        level: Confidence at which to decide.
        interpretation: The choices behind the numbers.
    """

    schema: ClassVar[str] = "qthreshold/evidence/2"
    qubits: int
    error: Interval
    draw_qubits: npt.NDArray[np.int64]
    draw_error: Real
    draw_qubits_if: npt.NDArray[np.int64]
    systematic_low: float
    systematic_high: float
    failed_edges: int = 0
    failed_shift: float = 0.0
    level: float
    interpretation: Interpretation


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Verdict(Record):
    """One instrument's verdict.

    Attributes:
        instrument: Id of the instrument.
        jurisdiction: Whose law.
        entry: Entry that is met, or that would be met where undetermined; None otherwise.
        outcome: ``met``, ``not_met``, ``undetermined``, ``not_verified``, ``no_entry`` or ``not_in_force``.
        probability_met: Share of draws inside a band; None where no verdict is given.
        interpretation: Choices that the law leaves open.
        reason: One sentence: the band at this size, its limit, and how far the device is from it.
        as_of: The day that the question was asked for, ISO.
    """

    schema: ClassVar[str] = "qthreshold/verdict/2"
    instrument: str
    jurisdiction: str
    entry: str | None
    outcome: str
    probability_met: float | None
    interpretation: Interpretation
    reason: str
    as_of: str

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        i = self.interpretation
        return {
            "instrument": self.instrument, "jurisdiction": self.jurisdiction, "entry": self.entry, "outcome": self.outcome,
            "probability_met": self.probability_met, "interpretation": interpretation_dict(i), "reason": self.reason, "as_of": self.as_of,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Verdicts(Record):
    """All verdicts of a run: under the default interpretation, and the alternatives that come out differently."""

    schema: ClassVar[str] = "qthreshold/verdicts/2"
    metrics_id: str
    verdicts: tuple[Verdict, ...]
    disagreements: tuple[Verdict, ...]


def interpretation_dict(i: Interpretation) -> dict[str, str]:
    """The JSON form of an interpretation."""
    return parts(i)[0]


def measured_evidence(metrics: DeviceMetrics, interpretation: Interpretation, level: float) -> Evidence:
    """Evidence from a measured device under an interpretation, which chooses the numbers; ``level`` is that of the decision."""
    scale = float(process_from_average(1.0)) if interpretation.infidelity == "process" else 1.0
    value, draws = (metrics.median, metrics.draw_median) if interpretation.aggregate == "median" else (metrics.mean, metrics.draw_mean)
    shift = value.best - metrics.mean.best  # the systematic range is known for the mean
    low, high = (0.0, value.best) if metrics.estimate == "upper" else (metrics.systematic_low + shift, metrics.systematic_high + shift)
    error = Interval(low=scale * value.low, best=scale * value.best, high=scale * value.high, level=value.level)
    return Evidence(
        qubits=int(metrics.connected_working_qubits.best), error=error, draw_qubits=metrics.draw_qubits, draw_error=scale * draws,
        draw_qubits_if=metrics.draw_qubits_if, systematic_low=scale * low, systematic_high=scale * high,
        failed_edges=metrics.failed_edges, failed_shift=scale * metrics.failed_shift,
        level=level, interpretation=interpretation,
    )  # fmt: skip


def data_sheet_evidence(qubits: int, error: float, low: float | None, high: float | None, level: float, interpretation: Interpretation) -> Evidence:
    """Evidence from stated numbers: ``error`` with an optional interval (taken at 95 %, normal on either side).

    Raises:
        ValueError: Qubits outside 0..1e9, an error outside 0..1, a level outside 0.5..1, or an interval that does not contain the error.
    """
    if not 0 <= qubits <= 10**9:
        raise ValueError(f"the number of qubits must lie between 0 and 1e9, got {qubits}")
    if not 0.5 <= level < 1:
        raise ValueError(f"the confidence must be at least 0.5 and below 1, got {level:g}")
    for name, value in (("C-NOT error", error), ("low", low), ("high", high)):
        if value is not None and not 0 <= value <= 1:
            raise ValueError(f"the {name} must lie between 0 and 1, got {value:g}")
    low, high = error if low is None else low, error if high is None else high
    if not low <= error <= high:
        raise ValueError(f"the interval must contain the error: low {low:g}, error {error:g}, high {high:g}")
    from_quantiles = normal_quantiles(2001)
    width = np.where(from_quantiles < 0, error - low, high - error) / normal_half_width(0.95)
    draws = error + width * from_quantiles if high > low else np.array([error])
    return Evidence(
        qubits=qubits, error=Interval(low=low, best=error, high=high, level=0.95), draw_qubits=np.full(draws.size, qubits), draw_error=draws,
        draw_qubits_if=np.full(draws.size, qubits),
        systematic_low=error, systematic_high=error, level=level, interpretation=interpretation,
    )  # fmt: skip


def judge(instrument: Instrument, evidence: Evidence, as_of: datetime.date) -> Verdict:
    """The verdict of one instrument on one piece of evidence, as the law stood on a day."""
    outcome, probability, entry = _decide(instrument, evidence, as_of)
    return Verdict(
        instrument=instrument.id, jurisdiction=instrument.jurisdiction, entry=entry, outcome=outcome, probability_met=probability,
        interpretation=evidence.interpretation, reason=_reason(instrument, evidence, outcome, as_of), as_of=as_of.isoformat(),
    )  # fmt: skip


def _decide(instrument: Instrument, evidence: Evidence, as_of: datetime.date) -> tuple[str, float | None, str | None]:
    if not instrument.in_force_on(as_of):
        return "not_in_force", None, None
    if instrument.standing == "secondary":
        return "not_verified", None, None
    if not instrument.bands:
        return "no_entry", None, None
    outcomes = [
        _compare(instrument, qubits, evidence.draw_error + offset, evidence.level)
        for qubits in (evidence.draw_qubits, evidence.draw_qubits_if)
        for offset in _offsets(evidence)
    ]
    low, high = min(p for _, p in outcomes), max(p for _, p in outcomes)
    outcome = outcomes[0][0] if len({o for o, _ in outcomes}) == 1 else "undetermined"
    probability: float | None = low if outcome == "met" else high if outcome == "not_met" else (low + high) / 2  # of the end that decides
    if outcome == "undetermined" and np.isnan(evidence.draw_error).all():
        probability = None  # nothing was measured that would give one
    band = _likeliest_band(instrument, evidence) if outcome in ("met", "undetermined") else None
    return outcome, probability, band.entry if band else None


def _offsets(evidence: Evidence) -> list[float]:
    """How far the error may lie off for reasons that are no matter of chance; a verdict must hold at each."""
    if evidence.interpretation.systematics == "included":
        return [evidence.systematic_low - evidence.error.best, evidence.systematic_high - evidence.error.best + evidence.failed_shift]
    return [0.0, evidence.failed_shift] if evidence.failed_edges else [0.0]


def _compare(instrument: Instrument, qubits: npt.NDArray[np.int64], error: Real, level: float) -> tuple[str, float]:
    met, possible = np.zeros(len(qubits), dtype=bool), np.zeros(len(qubits), dtype=bool)
    for band in instrument.bands:
        inside = (qubits >= band.min_qubits) & (True if band.max_qubits is None else qubits < band.max_qubits)
        met |= inside & (True if band.max_error is None else error <= band.max_error)
        possible |= inside & (np.isnan(error) if band.max_error is not None else False)
    share, missed = float(met.mean()), float((~(met | possible)).mean())
    outcome = "met" if share >= level else "not_met" if missed >= level else "undetermined"  # not 1 - level: 1 - 0.9 < 0.1 in floating point
    return outcome, share


def _likeliest_band(instrument: Instrument, evidence: Evidence) -> Band | None:
    """The band that holds most draws, those inside its limit first."""
    best: tuple[int, int] = (0, 0)
    chosen = None
    qubits, error = np.concatenate([evidence.draw_qubits, evidence.draw_qubits_if]), np.tile(evidence.draw_error, 2)
    for band in instrument.bands:
        inside = (qubits >= band.min_qubits) & (True if band.max_qubits is None else qubits < band.max_qubits)
        met = int((inside & (True if band.max_error is None else error <= band.max_error)).sum())
        if (met, int(inside.sum())) > best:
            best, chosen = (met, int(inside.sum())), band
    return chosen


def _span(band: Band) -> str:
    return f"{band.min_qubits} qubits and more" if band.max_qubits is None else f"{band.min_qubits}-{band.max_qubits - 1} qubits"


def _reason(instrument: Instrument, evidence: Evidence, outcome: str, as_of: datetime.date) -> str:
    if outcome == "not_in_force":
        if as_of < instrument.in_force:
            return f"not in force on {as_of}: in force from {instrument.in_force}"
        return f"not in force on {as_of}: superseded after {instrument.until}"
    if outcome == "not_verified":
        return "bands not verified: only secondary sources were read, so no verdict is given"
    if outcome == "no_entry":
        return "no entry for quantum computers and no qubit threshold"
    band = instrument.band_at(evidence.qubits)
    parts = [_standing(instrument, evidence, band), *_caveats(evidence, band)]
    if outcome == "undetermined" and band is not None and band.max_error is not None:
        parts += _to_settle(evidence, band.max_error)
    return "; ".join(parts)


def _standing(instrument: Instrument, evidence: Evidence, band: Band | None) -> str:
    """Where the best estimate lies among the bands, and what is nearest."""
    n, error = evidence.qubits, evidence.error.best
    if band is None:
        first = instrument.bands[0]
        return f"{n} qubits, below {first.min_qubits} where the bands begin; {_move(first, n)}"
    size = f"{band.entry} ({_span(band)})"
    if band.max_error is None:
        return f"{size} has no error criterion"
    if math.isnan(error):
        return f"{size}: limit {short(band.max_error)}, but no C-NOT error was measured"
    what = "the upper estimate of the error" if evidence.interpretation.estimate == "upper" else "the error"
    text = f"{size}: limit {short(band.max_error)}, {what} is {_ratio(error, band.max_error)}"
    edge = _nearest_edge(instrument, band, n)
    return text if edge is None else f"{text}; {edge}"


def _caveats(evidence: Evidence, band: Band | None) -> list[str]:
    """What the numbers are not."""
    out, error = [], evidence.error.best
    limit = None if band is None else band.max_error
    if evidence.failed_edges and limit is not None and not math.isnan(error):
        pairs = "1 pair" if evidence.failed_edges == 1 else f"{evidence.failed_edges} pairs"
        out.append(f"{pairs} could not be fitted and may be anything up to the criterion")
    if (more := int(np.median(evidence.draw_qubits_if))) > evidence.qubits:
        out.append(f"{more} qubits if those behind fits that failed work")
    if evidence.interpretation.estimate == "upper" and not math.isnan(error):
        if limit is None:
            out.append("the C-NOT error is an upper estimate")
        elif error > limit:
            out.append("the C-NOT error itself may be lower")
    if evidence.interpretation.connected == "stated":
        out.append("the number of qubits is stated, not measured")
    return out


def _nearest_edge(instrument: Instrument, band: Band, n: int) -> str | None:
    """What the fewest more or fewer qubits would do, as the limit changes with the number of qubits."""
    up = next((b for b in instrument.bands if b.min_qubits > n), None)
    fewer = n - band.min_qubits + 1
    if up is not None and up.min_qubits - n <= fewer:
        return _move(up, n)
    below = instrument.band_at(n - fewer)
    return f"{fewer} fewer qubit{'s' if fewer > 1 else ''}: {f'{below.entry}, {_limit(below)}' if below is not None else 'no entry'}"


def _limit(band: Band) -> str:
    return "no error criterion" if band.max_error is None else f"limit {short(band.max_error)}"


def _move(band: Band, n: int) -> str:
    """What more qubits would do."""
    more = band.min_qubits - n
    return f"{more} more qubit{'s' if more > 1 else ''}: {band.entry}, {_limit(band)}"


def _ratio(error: float, limit: float) -> str:
    ratio = error / limit
    if error <= limit:
        return "at the limit" if ratio > 0.9995 else f"{100 * (1 - ratio):.3g} % below it" if ratio > 0.01 else "far below it"
    return f"{ratio:.3g} times that" if ratio >= 1.1 else f"{100 * (ratio - 1):.3g} % above it"


def _to_settle(evidence: Evidence, limit: float) -> list[str]:
    """How much more data would decide, if the best estimate is right (errors shrink as one over the square root)."""
    distance = abs(evidence.error.best - limit)
    half = max(evidence.error.high - evidence.error.best, evidence.error.best - evidence.error.low)
    if not 0 < distance < half:
        return []
    return [f"about {math.ceil((half / distance) ** 2):,} times the shots would settle it"]


def find_disagreements(
    instruments: Sequence[Instrument], metrics: DeviceMetrics, default: Interpretation, as_of: datetime.date, level: float
) -> list[Verdict]:
    """Verdicts under alternatives that the data allow, where they differ from the default's."""
    changes = ({"aggregate": "median"}, {"infidelity": "process"}, {"systematics": "included"})
    out = []
    for instrument in instruments:
        usual = judge(instrument, measured_evidence(metrics, default, level), as_of)
        for change in changes:
            other = judge(instrument, measured_evidence(metrics, default.replace(**change), level), as_of)
            if (other.outcome, other.entry) != (usual.outcome, usual.entry):
                out.append(other)
    return out

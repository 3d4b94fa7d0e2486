"""Verdict: on which side of an instrument's bands a device falls, with what probability, and how far from the edge.

P(met) is the share of joint draws of (qubits, error) inside a band. At confidence c the outcome is ``met`` if P >= c,
``not_met`` if P <= 1 - c, else ``undetermined``. Evidence, not legal advice.

Where any connected sub-register counts, ``met`` needs one register whose error, from data that had no part in picking it, is below its
limit; ``not_met`` needs a lower bound on all registers above every limit; between the two the outcome is ``undetermined``.

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

from qthreshold.evidence import Evidence, RegisterEvidence
from qthreshold.identity import Record
from qthreshold.interpretation import Interpretation, changes, interpretation_dict
from qthreshold.numerics.intervals import probability_above
from qthreshold.rulebook import Band, Instrument, short

__all__ = ["NOTICE", "Position", "Verdict", "Verdicts", "judge", "judge_all", "ratio_words", "share_excluded", "shots_to_settle"]

Real = npt.NDArray[np.float64]

NOTICE = "Evidence, not legal advice."

_ROUNDING = 1e-12  # a mean of equal errors at a limit must not miss it by its last digit
_RARE = 0.005  # share of draws of the count below which a band is not named


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Position(Record):
    """Where the best estimate lies among the bands of an instrument, and what is nearest.

    Attributes:
        qubits: How many qubits count.
        entry, min_qubits, max_qubits, max_error: The band of that size (``max_qubits`` is the first number beyond it); None below all bands.
        error_ratio: Error in units of the limit; None where there is no error or no limit.
        step: The fewest qubits more (or, below 0, fewer) that lead to another band or out of all; None where nothing does.
        step_entry, step_max_error: The band there.
    """

    schema: ClassVar[str] = "qthreshold/position/1"
    qubits: int
    entry: str | None
    min_qubits: int | None
    max_qubits: int | None
    max_error: float | None
    error_ratio: float | None
    step: int | None
    step_entry: str | None
    step_max_error: float | None

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "qubits": self.qubits, "entry": self.entry, "min_qubits": self.min_qubits, "max_qubits": self.max_qubits, "max_error": self.max_error,
            "error_ratio": self.error_ratio, "step": self.step, "step_entry": self.step_entry, "step_max_error": self.step_max_error,
        }  # fmt: skip


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
        rule_sha256: Hash of the rule file; empty for a rule made in code.
        evidence_id: Id of the evidence.
        records: Kinds and ids of the records behind the evidence.
        position: Distance to the nearest edges; None where no verdict is given.
    """

    schema: ClassVar[str] = "qthreshold/verdict/3"
    instrument: str
    jurisdiction: str
    entry: str | None
    outcome: str
    probability_met: float | None
    interpretation: Interpretation
    reason: str
    as_of: str
    rule_sha256: str
    evidence_id: str
    records: tuple[str, ...]
    position: Position | None

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "instrument": self.instrument, "jurisdiction": self.jurisdiction, "entry": self.entry, "outcome": self.outcome,
            "probability_met": self.probability_met, "interpretation": interpretation_dict(self.interpretation), "reason": self.reason,
            "as_of": self.as_of, "distance": None if self.position is None else self.position.as_dict(), "rule_sha256": self.rule_sha256,
            "evidence": {"id": self.evidence_id, "records": dict(r.split(" ", 1) for r in self.records)}, "notice": NOTICE,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Verdicts(Record):
    """Verdicts under the default reading, and of every instrument with bands under every other reading that the data allow."""

    schema: ClassVar[str] = "qthreshold/verdicts/3"
    metrics_id: str
    frontier_id: str
    verdicts: tuple[Verdict, ...]
    alternatives: tuple[Verdict, ...]

    @property
    def disagreements(self) -> tuple[Verdict, ...]:
        """Alternatives that come out differently from the default, less those that a smaller change already explains."""
        if not self.verdicts:
            return ()
        default = self.verdicts[0].interpretation
        usual = {v.instrument: (v.outcome, v.entry) for v in self.verdicts}
        out: list[Verdict] = []
        seen: dict[tuple[str, str, str | None], list[set[tuple[str, str]]]] = {}
        for v in self.alternatives:  # those with the fewest changes come first
            if (v.outcome, v.entry) == usual[v.instrument]:
                continue
            changed = set(changes(v.interpretation, default).items())
            known = seen.setdefault((v.instrument, v.outcome, v.entry), [])
            if not any(smaller <= changed for smaller in known):
                known.append(changed)
                out.append(v)
        return tuple(out)


def judge_all(
    instruments: Sequence[Instrument], evidence: Sequence[Evidence | RegisterEvidence], as_of: datetime.date, *, metrics_id: str = "",
    frontier_id: str = "",
) -> Verdicts:  # fmt: skip
    """Verdicts of all instruments under all readings, the first of which is the default."""
    usual, *others = evidence
    verdicts = tuple(judge(i, usual, as_of) for i in instruments)
    decided = [i for i, v in zip(instruments, verdicts, strict=True) if v.outcome in ("met", "not_met", "undetermined")]
    return Verdicts(
        metrics_id=metrics_id, frontier_id=frontier_id, verdicts=verdicts, alternatives=tuple(judge(i, e, as_of) for e in others for i in decided)
    )


def judge(instrument: Instrument, evidence: Evidence | RegisterEvidence, as_of: datetime.date) -> Verdict:
    """The verdict of one instrument on one piece of evidence, as the law stood on a day."""
    outcome, probability, entry, position, reason = _no_verdict(instrument, as_of), None, None, None, ""
    if outcome is None:
        outcome, probability, entry = _decide(instrument, evidence)
        position, reason = _position(instrument, _whole(evidence)), _reason(instrument, evidence, outcome)
    elif outcome == "not_in_force":
        reason = _when(instrument, as_of)
    elif outcome == "not_verified":
        reason = _why_not_verified(instrument, evidence, as_of)
    else:
        reason = "no entry for quantum computers and no qubit threshold"
    return Verdict(
        instrument=instrument.id, jurisdiction=instrument.jurisdiction, entry=entry, outcome=outcome, probability_met=probability,
        interpretation=evidence.interpretation, reason=reason, as_of=as_of.isoformat(), rule_sha256=instrument.sha256,
        evidence_id=evidence.id, records=evidence.records, position=position,
    )  # fmt: skip


def _whole(evidence: Evidence | RegisterEvidence) -> Evidence:
    return evidence if isinstance(evidence, Evidence) else evidence.whole


def _no_verdict(instrument: Instrument, as_of: datetime.date) -> str | None:
    """The outcome where no evidence matters; None where it does."""
    applies = instrument.in_force_on(as_of)
    if applies is False:
        return "not_in_force"
    if applies is None or instrument.standing != "text" or not instrument.bands_hold_on(as_of):
        return "not_verified"
    return None if instrument.bands else "no_entry"


def _when(instrument: Instrument, as_of: datetime.date) -> str:
    if as_of < instrument.in_force.earliest:
        return f"not in force on {as_of}: in force from {instrument.in_force}"
    return f"not in force on {as_of}: superseded after {instrument.until}"


def _why_not_verified(instrument: Instrument, evidence: Evidence | RegisterEvidence, as_of: datetime.date) -> str:
    if instrument.standing == "none":
        return "bands not verified: nothing usable was read, so no verdict is given"
    if instrument.standing == "secondary":
        reported = f"; reported: {instrument.reported}" if instrument.reported else ""
        return f"bands not verified: only secondary sources were read, so no verdict is given{reported}"
    if not instrument.bands_hold_on(as_of):
        outcome, _, entry = _decide(instrument, evidence)
        text = f"the text read is that of {instrument.text_as_of}; an amendment of {instrument.amended} was not read"
        return f"bands not verified: {text} (by the bands read: {outcome.replace('_', ' ')}{f', {entry}' if entry else ''})"
    return f"not verified whether it was in force on {as_of}: it came into force in {instrument.in_force}, the day itself was not read"


def _decide(instrument: Instrument, evidence: Evidence | RegisterEvidence) -> tuple[str, float | None, str | None]:
    """Outcome, P(met) and entry, by the bands alone."""
    if isinstance(evidence, RegisterEvidence):
        return _decide_registers(instrument, evidence)
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
        inside = _inside(band, qubits)
        met |= inside & (True if band.max_error is None else error <= band.max_error)
        possible |= inside & (np.isnan(error) if band.max_error is not None else False)
    share, missed = float(met.mean()), float((~(met | possible)).mean())
    outcome = "met" if share >= level else "not_met" if missed >= level else "undetermined"  # not 1 - level: 1 - 0.9 < 0.1 in floating point
    return outcome, share


def _inside(band: Band, qubits: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which numbers of qubits fall into a band."""
    return (qubits >= band.min_qubits) & (True if band.max_qubits is None else qubits < band.max_qubits)


def _likeliest_band(instrument: Instrument, evidence: Evidence) -> Band | None:
    """The band that holds most draws, those inside its limit first."""
    best: tuple[int, int] = (0, 0)
    chosen = None
    qubits, error = np.concatenate([evidence.draw_qubits, evidence.draw_qubits_if]), np.tile(evidence.draw_error, 2)
    for band in instrument.bands:
        inside = _inside(band, qubits)
        met = int((inside & (True if band.max_error is None else error <= band.max_error)).sum())
        if (met, int(inside.sum())) > best:
            best, chosen = (met, int(inside.sum())), band
    return chosen


def _decide_registers(instrument: Instrument, evidence: RegisterEvidence) -> tuple[str, float | None, str | None]:
    """The same where any connected sub-register counts, the whole device being one of them."""
    outcome, probability, entry = _decide(instrument, evidence.whole)
    whole = probability if outcome == "met" and probability is not None else 0.0
    share, band = _best_register(instrument, evidence)
    if max(whole, share) >= evidence.level:
        return ("met", whole, entry) if whole >= share else ("met", share, band.entry if band else None)
    excluded = share_excluded(instrument, evidence)
    if excluded >= evidence.level:
        return "not_met", 1 - excluded, None
    return "undetermined", None, band.entry if band else entry


def _limits(instrument: Instrument, sizes: npt.NDArray[np.int64]) -> Real:
    """Limit of the error at each size: NaN outside all bands, infinite where there is no error criterion."""
    out = np.full(sizes.shape, np.nan)
    for band in instrument.bands:
        out[_inside(band, sizes)] = np.inf if band.max_error is None else band.max_error
    return out


def _best_register(instrument: Instrument, evidence: RegisterEvidence) -> tuple[float, Band | None]:
    """P(met) by the register that lies lowest below its limit, or least above it, and its band.

    Each half of the data names the size and the register, the other says how far it lies below the limit. The mean of the two margins
    is above 0 only if one of the registers meets its limit. Their errors are added as if fully correlated, which is the most they can be.
    """
    limit = _limits(instrument, evidence.sizes)
    if np.isnan(limit).all():
        return 0.0, None
    half = np.arange(2)
    pick = np.nanargmin(np.where(np.isinf(limit), -np.inf, evidence.picked / limit), axis=1)
    margin = float(np.mean(limit[pick] * (1 + _ROUNDING) - evidence.estimate[half, pick]))
    error, dof = float(evidence.standard_error[half, pick].mean()), float(evidence.dof[half, pick].min())
    share = float(probability_above(margin, error, dof)) - float(evidence.doubt[half, pick].max())
    return max(share, 0.0), instrument.band_at(int(evidence.sizes[pick].max()))


def share_excluded(instrument: Instrument, evidence: RegisterEvidence) -> float:
    """How often, among the draws, the lower bound proves that no connected register of any size is within its limit."""
    limit = _limits(instrument, np.arange(evidence.draw_bound.shape[1]))
    possible = (evidence.draw_bound <= limit * (1 + _ROUNDING)) & np.isfinite(evidence.draw_bound)  # NaN limit: no band, not possible
    draws = len(evidence.draw_bound)
    hits = draws - int(possible.any(axis=1).sum())
    return hits / draws if draws == 1 else hits / (draws + 1)  # few draws cannot show a high probability


def _span(band: Band) -> str:
    return f"{band.min_qubits} qubits and more" if band.max_qubits is None else f"{band.min_qubits}-{band.max_qubits - 1} qubits"


def _position(instrument: Instrument, evidence: Evidence) -> Position:
    n, error = evidence.qubits, evidence.error.best
    band = instrument.band_at(n)
    step, there = _nearest_edge(instrument, band, n)
    limit = None if band is None else band.max_error
    return Position(
        qubits=n, entry=band.entry if band else None, min_qubits=band.min_qubits if band else None, max_qubits=band.max_qubits if band else None,
        max_error=limit, error_ratio=None if limit is None or math.isnan(error) else error / limit,
        step=step, step_entry=there.entry if there else None, step_max_error=there.max_error if there else None,
    )  # fmt: skip


def _reason(instrument: Instrument, evidence: Evidence | RegisterEvidence, outcome: str) -> str:
    whole = _whole(evidence)
    band = instrument.band_at(whole.qubits)
    if isinstance(evidence, RegisterEvidence):
        return "; ".join([_best_part(instrument, evidence, outcome), *_caveats(instrument, whole, band)])
    parts = [_standing(instrument, evidence, band), *_caveats(instrument, evidence, band)]
    if outcome == "undetermined" and band is not None and band.max_error is not None:
        parts += _to_settle(evidence, band.max_error)
    return "; ".join(parts)


def _best_part(instrument: Instrument, evidence: RegisterEvidence, outcome: str) -> str:
    """What is known about the connected sub-registers, in a sentence."""
    limit = _limits(instrument, evidence.sizes)
    if np.isnan(limit).all():
        return f"no connected part has {instrument.bands[0].min_qubits} qubits"
    if np.isinf(limit).any():
        return f"{evidence.whole.qubits} qubits; {instrument.bands[-1].entry} has no error criterion"
    k = int(np.nanargmin(evidence.cross[:, 0] / limit))
    size = int(evidence.sizes[k])
    entry = next(b.entry for b in instrument.bands if b is instrument.band_at(size))
    best, low, high = (_say(v) for v in evidence.cross[k])
    span = "" if low == high else f" ({low} to {high})"
    text = f"best connected part for {entry}: {size} qubits at {best}{span}, limit {short(float(limit[k]))}"
    if outcome == "not_met":
        return f"{text}; proven: no connected part of any size is within its limit"
    if outcome == "undetermined":
        return f"{text}; not settled: by the estimates, none of that size can lie below {_say(evidence.bound[k])}"
    return text


def _say(value: float) -> str:
    return short(float(f"{value:.3g}"))


def _standing(instrument: Instrument, evidence: Evidence, band: Band | None) -> str:
    """Where the best estimate lies among the bands, and what is nearest."""
    n, error = evidence.qubits, evidence.error.best
    if band is None:
        first, last = instrument.bands[0], instrument.bands[-1]
        if n < first.min_qubits:
            return f"{n} qubits, below {first.min_qubits} where the bands begin; {_move(first.min_qubits - n, first)}"
        beyond = last.max_qubits or n
        return f"{n} qubits, above {beyond - 1} where the bands end; {_move(beyond - 1 - n, last)}"
    size = f"{band.entry} ({_span(band)})"
    if band.max_error is None:
        return f"{size} has no error criterion"
    if math.isnan(error):
        return f"{size}: limit {short(band.max_error)}, but no C-NOT error was measured"
    what = "the upper estimate of the error" if evidence.interpretation.estimate == "upper" else "the error"
    text = f"{size}: limit {short(band.max_error)}, {what} is {ratio_words(error, band.max_error)}"
    step, there = _nearest_edge(instrument, band, n)
    return text if step is None else f"{text}; {_move(step, there)}"


def _caveats(instrument: Instrument, evidence: Evidence, band: Band | None) -> list[str]:
    """What the numbers are not."""
    out, error = [], evidence.error.best
    limit = None if band is None else band.max_error
    if evidence.failed_edges and limit is not None and not math.isnan(error):
        pairs = "1 pair" if evidence.failed_edges == 1 else f"{evidence.failed_edges} pairs"
        out.append(f"{pairs} could not be fitted and may be anything up to the criterion")
    if spread := _count_spread(instrument, evidence):
        out.append(spread)
    if (more := int(np.median(evidence.draw_qubits_if))) > evidence.qubits:
        out.append(f"{more} qubits if those behind fits that failed work")
    if evidence.interpretation.estimate == "upper" and not math.isnan(error):
        if limit is None:
            out.append("the C-NOT error is an upper estimate")
        elif error > limit:
            out.append("the C-NOT error itself may be lower")
    if evidence.interpretation.estimate == "reported":
        out.append("reported, not measured")
    if evidence.interpretation.connected == "stated":
        out.append("the number of qubits is stated, not measured")
    return out


def _count_spread(instrument: Instrument, evidence: Evidence) -> str:
    """Over which bands the number of qubits is spread, where one of them does not hold nearly all of it."""
    shares = {b.entry: float(_inside(b, evidence.draw_qubits).mean()) for b in instrument.bands}
    shares["no band"] = 1 - sum(shares.values())
    likely = sorted(((p, name) for name, p in shares.items() if p > _RARE), reverse=True)
    if len(likely) < 2:
        return ""
    return f"the count is in {' or '.join(f'{name} ({100 * p:.2g} %)' for p, name in likely)}"


def _nearest_edge(instrument: Instrument, band: Band | None, n: int) -> tuple[int | None, Band | None]:
    """The fewest more (or, below 0, fewer) qubits that change the limit, and the band there, as the limit changes with their number."""
    up = next((b for b in instrument.bands if b.min_qubits > n), None)
    if band is None:
        last = instrument.bands[-1]
        return (up.min_qubits - n, up) if up is not None else ((last.max_qubits or n) - 1 - n, last)
    if band.max_error is None:
        return None, None
    fewer = n - band.min_qubits + 1
    if up is not None and up.min_qubits - n <= fewer:
        return up.min_qubits - n, up
    return -fewer, instrument.band_at(n - fewer)


def _limit(band: Band) -> str:
    return "no error criterion" if band.max_error is None else f"limit {short(band.max_error)}"


def _move(step: int, band: Band | None) -> str:
    """What more or fewer qubits would do."""
    there = "no entry" if band is None else f"{band.entry}, {_limit(band)}"
    return f"{abs(step)} {'more' if step > 0 else 'fewer'} qubit{'s' if abs(step) > 1 else ''}: {there}"


def ratio_words(error: float, limit: float) -> str:
    """An error in units of a limit, in words that go on from the limit.

    Example:
        >>> ratio_words(4.11e-3, 1e-3), ratio_words(1.02e-3, 1e-3), ratio_words(7e-4, 1e-3), ratio_words(1e-3, 1e-3)
        ('4.11 times that', '2 % above it', '30 % below it', 'at the limit')
    """
    ratio = error / limit
    if error <= limit:
        return "at the limit" if ratio > 0.9995 else f"{100 * (1 - ratio):.3g} % below it" if ratio > 0.01 else "far below it"
    return f"{ratio:.3g} times that" if ratio >= 1.1 else f"{100 * (ratio - 1):.3g} % above it"


def shots_to_settle(evidence: Evidence, limit: float) -> int | None:
    """How many times the shots would decide, if the best estimate is right (errors shrink as one over the square root); None if none would."""
    distance = abs(evidence.error.best - limit)
    half = max(evidence.error.high - evidence.error.best, evidence.error.best - evidence.error.low)
    return math.ceil((half / distance) ** 2) if 0 < distance < half else None


def _to_settle(evidence: Evidence, limit: float) -> list[str]:
    times = shots_to_settle(evidence, limit)
    return [] if times is None else [f"about {times:,} times the shots would settle it"]

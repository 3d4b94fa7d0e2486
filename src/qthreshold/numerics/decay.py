"""Batched fits of A p^m + B, with intervals, checks of every fit, and the error of an interleaved gate.

Data are integers: survived and shots, shape (N, L, K) for N curves, L lengths, K sequences per length; a cell with no shots
is missing. Estimates are maximum likelihood (:mod:`.likelihood`). Standard errors are sandwich estimates: the scatter
between the sequences of a length (ddof = 1) replaces the binomial variance, so that coherent noise, which makes sequences
differ by more than their shots, widens the interval; Student t with Satterthwaite degrees of freedom accounts for few
sequences. Curves are worked through in blocks, so that memory does not grow with their number beyond input and output.

Lengths may come in any order. A length that appears twice counts as one length with more sequences. The axis of sequences is
taken as their order in time, which only the check for drift uses.

References:
    E. Magesan, J. M. Gambetta, J. Emerson, arXiv:1009.3639 (RB); E. Magesan et al., arXiv:1203.4550 (interleaved RB).
    R. Harper et al., arXiv:1901.00535 (asymptote fixed by a random final Pauli).
    H. White, Econometrica 50, 1 (1982) (sandwich covariance).
"""

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from qthreshold.numerics import special
from qthreshold.numerics.intervals import poisson_upper, satterthwaite, student_t
from qthreshold.numerics.likelihood import Curvature, Totals, maximise
from qthreshold.numerics.rates import magesan_bound
from qthreshold.numerics.sequences import Arranged, Moments, arrange, moments

__all__ = [
    "REASONS", "REJECTED", "DecayFit", "Fit", "InterleavedError", "JointFit", "check_asymptote", "fit_decays", "interleaved_error", "joint_decays",
]  # fmt: skip

Real = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.str_]

REASONS = {
    "ok": "",
    "no_decay": "no decay seen: the error is not resolved from zero, longer sequences would resolve it",
    "too_fast": "the signal is gone before the second length: shorter sequences are needed",
    "poor_fit": "the points do not follow A p^m + B (drift, leakage or memory in the noise)",
    "asymptote_shifted": "the decay does not end at 1/d (leakage or drift): its end was fitted too, so the interval is wider",
    "drift": "results change in the course of the run: the error is a mean over that time",
    "no_data": "too few lengths hold data: two are needed, three where the asymptote is fitted too",
}
"""Status codes of a fit and their one-line reasons."""

REJECTED = ("too_fast", "poor_fit", "no_data")
"""Status codes of curves without an estimate: NaN in every field that the fit would have filled."""

_OF_ARMS = ("p", "p_low", "p_high", "p_error", "p_dof")
_CODES = list(REASONS)
_IS_REJECTED = np.isin(_CODES, REJECTED)
_MISFIT = 1e-6  # chance that a good curve is rejected
_ALARM = 1e-5  # chance that a good curve is said to have a shifted asymptote, and the same for drift (with 2 or 3 sequences that scatter, 1e-3)
_FEW_FAILURES = 1000  # beyond, the normal approximation is as good
_FALLEN = 0.4  # share of the signal left below which a decay is called fast, and not the shots too few
_BLOCK_CELLS = 800_000  # the cells of a block, 6 MB: a compromise between cache and calls
_QUIET = np.errstate(over="ignore", invalid="ignore", divide="ignore")  # curves without information overflow, and end as NaN with a status


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Fit:
    """What every fit of N curves or targets has.

    Attributes:
        a: Amplitude A, ``(N,)``.
        b: Asymptote B, ``(N,)``.
        covariance: Of the decay parameters of all arms, A, and B where all curves have it fitted, in this order, ``(N, P, P)``.
        chi2, dof: Of the lengths' means about the model, in units of the scatter between sequences, ``(N,)``.
        overdispersion: Scatter between sequences in units of the binomial variance, ``(N,)``.
        asymptote_z: Standard errors by which the decay ends off the fixed B, ``(N,)``, also where that made it ``asymptote_shifted``; NaN
            where B was to be fitted, or the counts cannot tell.
        runs_z: How many standard deviations fewer (below 0) or more runs of residuals there are than without drift, ``(N,)``.
        status: Codes of :data:`REASONS`, ``(N,)``.
    """

    a: Real
    b: Real
    covariance: Real
    chi2: Real
    dof: Ints
    overdispersion: Real
    asymptote_z: Real
    runs_z: Real
    status: Codes


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DecayFit(Fit):
    """Fit of N curves; decay parameter, ends of its interval, standard error and its degrees of freedom, ``(N,)`` each."""

    p: Real
    p_low: Real
    p_high: Real
    p_error: Real
    p_dof: Real


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class JointFit(Fit):
    """Fit of G arms that share A and B, for N targets, and the errors of R gates from ratios of decay parameters.

    ``p...`` as in :class:`DecayFit`, ``(N, G)``; ``error``, ``low``, ``high``, ``standard_error`` and ``dof_error`` are average gate
    infidelities, ``(N, R)``.
    """

    p: Real
    p_low: Real
    p_high: Real
    p_error: Real
    p_dof: Real
    error: Real
    low: Real
    high: Real
    standard_error: Real
    dof_error: Real


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class InterleavedError(Fit):
    """Joint fit of both arms of interleaved RB; every array has length N, ``covariance`` is ``(N, 3, 3)``: p_ref, p_int, a.

    ``error``, ``low``, ``high``, ``standard_error`` and the systematic bound are average gate infidelities.
    """

    error: Real
    low: Real
    high: Real
    standard_error: Real
    dof_error: Real
    systematic_low: Real
    systematic_high: Real
    p_ref: Real
    p_ref_low: Real
    p_ref_high: Real
    p_int: Real
    p_int_low: Real
    p_int_high: Real


def fit_decays(
    lengths: npt.ArrayLike,
    survived: npt.ArrayLike,
    shots: npt.ArrayLike,
    *,
    asymptote: float | None = 0.25,
    level: float = 0.95,
    outcome: npt.ArrayLike | None = None,
) -> DecayFit:
    """Fit A p^m + B to every curve.

    Args:
        lengths: Numbers of Cliffords m, shape ``(L,)``, at least two different ones.
        survived: Counts of the expected outcome, integers ``(N, L, K)``.
        shots: Shots per sequence, integers broadcastable to ``(N, L, K)``; 0 where a cell is missing.
        asymptote: B, fixed by design (1/d with a random final Pauli); None fits it.
        level: Confidence level of ``p_low`` and ``p_high``.
        outcome: Which bit string each sequence should end in, integers broadcastable to ``(N, L, K)``, if that is known: what an
            uneven readout does to them is then not taken for scatter nor, where outcomes do not come equally often, for decay.

    Returns:
        One :class:`DecayFit`. Curves that cannot be fitted are NaN and say why in ``status``.

    Raises:
        ValueError: Shapes or types do not fit, counts lie outside 0..shots, fewer than two different lengths, NaN.

    Example:
        >>> m = np.array([1, 50, 150])
        >>> x = np.rint(1000 * (0.75 * 0.99**m + 0.25)).astype(int)[None, :, None].repeat(4, 2)
        >>> round(float(fit_decays(m, x, 1000).p[0]), 4)
        0.99
    """
    fit = _fit(arrange(lengths, [survived], shots, outcome), asymptote=asymptote, level=level)
    values = {f.name: getattr(fit, f.name) for f in dataclasses.fields(DecayFit)}
    return DecayFit(**{k: v[:, 0] if k in _OF_ARMS else v for k, v in values.items()})


def joint_decays(
    lengths: npt.ArrayLike,
    survived: Sequence[npt.ArrayLike],
    shots: npt.ArrayLike,
    *,
    ratios: Sequence[tuple[int, int]] = (),
    dim: int = 4,
    level: float = 0.95,
    outcome: npt.ArrayLike | None = None,
) -> JointFit:
    """Fit several arms of every target at once: one A and B = 1/d, a decay parameter for each arm.

    Standard, interleaved and simultaneous arms of a target share its state preparation and readout, so what one arm says about A
    sharpens all of them. Sequence k of a length is taken to use the same random Cliffords in every arm, so the scatter of all
    arms together gives the covariance of their decay parameters.

    Args:
        lengths: Numbers of Cliffords, shape ``(L,)``.
        survived: Survival counts of each of the G arms, integers ``(N, L, K)``; lengths that an arm did not use have no shots.
        shots: Shots per sequence, broadcastable to ``(N, L, K)``, or ``(G, N, L, K)`` when the arms differ.
        ratios: Pairs of arms (interleaved, reference): the error (d-1)/d (1 - p_interleaved / p_reference) is estimated for each.
        dim: Dimension d of the pair (4) or qubit (2).
        level: Confidence level.
        outcome: As for :func:`fit_decays`, also ``(G, N, L, K)``.

    Raises:
        ValueError: As for :func:`fit_decays`, or a ratio names an arm that is not there.

    References:
        E. Magesan et al., arXiv:1203.4550, eq. (4).
    """
    if dim < 2:
        raise ValueError(f"dim must be at least 2, got {dim}")
    for pair in ratios:
        if len(pair) != 2 or not all(0 <= g < len(survived) for g in pair) or pair[0] == pair[1]:
            raise ValueError(f"a ratio names two different arms out of 0..{len(survived) - 1}, got {tuple(pair)}")
    return _fit(arrange(lengths, survived, shots, outcome), asymptote=1 / dim, level=level, ratios=ratios)


def interleaved_error(
    lengths: npt.ArrayLike,
    survived_ref: npt.ArrayLike,
    survived_int: npt.ArrayLike,
    shots: npt.ArrayLike,
    *,
    dim: int = 4,
    level: float = 0.95,
    outcome: npt.ArrayLike | None = None,
) -> InterleavedError:
    """Error of the interleaved gate, r = (d-1)/d (1 - p_int/p_ref), from a joint fit with one A and B = 1/d.

    Args:
        lengths: Numbers of Cliffords, shape ``(L,)``.
        survived_ref: Survival counts of the reference arm, integers ``(N, L, K)``.
        survived_int: The same for the interleaved arm, sequence by sequence with the same random Cliffords.
        shots: Shots per sequence and arm, broadcastable to ``(N, L, K)``, or ``(2, N, L, K)`` when the arms differ.
        dim: Dimension d of the pair (4) or qubit (2).
        level: Confidence level.
        outcome: As for :func:`fit_decays`, also ``(2, N, L, K)``.

    Returns:
        One :class:`InterleavedError`; ``systematic_low/high`` is error -/+ the bound of :func:`.rates.magesan_bound`, with the lower end of
        a decay parameter that is not resolved from 1; it ends at 0, or at an error that came out negative.

    Raises:
        ValueError: As for :func:`fit_decays`.

    References:
        E. Magesan et al., arXiv:1203.4550, eqs. (4) and (5).
    """
    fit = joint_decays(lengths, [survived_ref, survived_int], shots, ratios=[(1, 0)], dim=dim, level=level, outcome=outcome)
    cautious = np.where(fit.p_high >= 1, fit.p_low, fit.p)  # not resolved from 1, which would promise too much
    error, bound = fit.error[:, 0], magesan_bound(cautious[:, 0], cautious[:, 1], dim)
    arms = {f"p_{arm}{end}": getattr(fit, f"p{end}")[:, g] for g, arm in enumerate(("ref", "int")) for end in ("", "_low", "_high")}
    errors = {name: getattr(fit, name)[:, 0] for name in ("error", "low", "high", "standard_error", "dof_error")}
    return InterleavedError(
        **arms, **errors, **{f.name: getattr(fit, f.name) for f in dataclasses.fields(Fit)},
        systematic_low=np.maximum(error - bound, np.minimum(error, 0.0)), systematic_high=error + bound,
    )  # fmt: skip


def check_asymptote(asymptote: float) -> None:
    """Refuse what is no probability.

    Raises:
        ValueError: It lies outside [0, 1).
    """
    if not 0 <= asymptote < 1:
        raise ValueError(f"asymptote must lie in [0, 1), got {asymptote}")


@_QUIET
def _fit(data: Arranged, *, asymptote: float | None, level: float, ratios: Sequence[tuple[int, int]] = ()) -> JointFit:
    if asymptote is not None:
        check_asymptote(asymptote)
    if not 0 < level < 1:
        raise ValueError(f"confidence level must lie between 0 and 1, got {level}")
    n, cells = len(data.survived[0]), len(data.survived) * int(np.prod(data.survived[0].shape[1:]))
    size = max(_BLOCK_CELLS // max(cells, 1), 64)
    scale = 1 - (asymptote or 0.0)
    np.empty(31 << 17)  # freed at once: from then on glibc keeps freed arrays up to 31 MB for the next block and does not fetch new pages
    room = np.empty(cells * min(size, n))
    whole: dict[str, npt.NDArray[Any]] = {}
    for first in range(0, max(n, 1), size):
        block = _fit_block(moments(data, slice(first, first + size), asymptote, room), level, ratios, scale)
        for field in dataclasses.fields(JointFit):
            part = getattr(block, field.name)
            if first == 0:
                whole[field.name] = part if len(part) == n else np.empty((n, *part.shape[1:]), part.dtype)
            whole[field.name][first : first + len(part)] = part
    return JointFit(**whole)


def _fit_block(data: Moments, level: float, ratios: Sequence[tuple[int, int]], scale: float) -> JointFit:
    """Fit a block; where the asymptote is fixed and plainly wrong, fit it too."""
    fit, shifted = _Solution.of(data).fit(level, ratios, scale)
    again = np.flatnonzero(shifted)
    if again.size:
        second, _ = _Solution.of(data.freed(again)).fit(level, ratios, scale)
        for field in dataclasses.fields(JointFit):
            old, new = getattr(fit, field.name), getattr(second, field.name)
            if field.name == "covariance":
                new = new[:, : old.shape[1], : old.shape[2]]
            if field.name != "asymptote_z":
                old[again] = new
        fit.status[again] = np.where(np.isin(second.status, REJECTED), "poor_fit", "asymptote_shifted")
    return fit


@dataclass(frozen=True, slots=True)
class _Solution:
    """Estimates of a block with everything that their variances need.

    Attributes:
        data: What was counted.
        theta: log A, log(-log p) of each arm[, B], ``(P, n)``.
        found: Whether the maximum lies inside the allowed ranges, ``(n,)``.
        curve: Model and inverse information.
        pull: What one more count does to the score of log A, ``(G, L, n)``; to that of B it is the weight.
        scatter: Covariance of the arms' total counts at each length, ``(G, G, L, n)``.
        chi2, dof, misfit: Goodness of fit, ``(n,)``.
        overdispersion: Scatter between sequences in units of the binomial variance, ``(n,)``.
    """

    data: Moments
    theta: Real
    found: Bools
    curve: Curvature
    pull: Real
    scatter: Real
    chi2: Real
    dof: Ints
    misfit: Bools
    overdispersion: Real

    @classmethod
    def of(cls, data: Moments) -> "_Solution":
        """Maximise the likelihood."""
        theta, found, curve = maximise(data.totals)
        chi2, dof, misfit, overdispersion = _goodness(data, curve, len(theta))
        # a length with one sequence shows no scatter: take that of the other lengths, or else that of the points about the curve
        alone = np.where(np.isfinite(overdispersion), overdispersion, chi2 / np.maximum(dof, 1))
        scatter = data.covariance(1 / curve.weight, np.maximum(alone, 1.0))
        return cls(data, theta, found, curve, curve.signal * curve.weight, scatter, chi2, dof, misfit, overdispersion)

    @property
    def rate(self) -> Real:
        """-log p of each arm, ``(G, n)``."""
        return self.curve.rate

    @property
    def free(self) -> bool:
        """Whether B was fitted."""
        return self.data.totals.asymptote is None

    def lever(self, direction: Real, of_b: float | None = None) -> Real:
        """How much one more count in each cell moves sum_p direction_p score_p, ``(G, L, n)``; ``of_b`` times the score of B where that is fixed."""
        arms = len(self.rate)
        out = self.pull * (direction[0] - (self.rate * direction[1 : 1 + arms])[:, None] * self.data.totals.lengths[:, None])
        b = direction[-1] if self.free else of_b
        return out if b is None else out + self.curve.weight * b

    def parts(self, a: Real, b: Real) -> Real:
        """Covariance of two combinations of counts that each length contributes, ``(L, n)``."""
        out = a[0] * b[0] * self.scatter[0, 0]
        for g, h in itertools.product(range(len(a)), repeat=2):
            if g or h:
                out += a[g] * b[h] * self.scatter[g, h]
        return out

    def variance(self, contrast: Real) -> tuple[Real, Real]:
        """Variance and degrees of freedom of a combination of parameters, ``contrast`` ``(P, n)``; each ``(n,)``."""
        direction = (self.curve.covariance * contrast).sum(axis=1)
        return self._variance(self.lever(direction), (direction * contrast).sum(axis=0))

    def _variance(self, lever: Real, model: Real) -> tuple[Real, Real]:
        """The same from what each count does to the combination, and the variance that shots alone would give it."""
        parts = self.parts(lever, lever)
        var, dof = parts.sum(axis=0), satterthwaite(parts.T, self.data.dof.T)
        degenerate = ~(var >= 0.1 * model)  # all sequences alike, as when every shot survived: no scatter to learn from
        return np.where(degenerate, model, var), np.where(degenerate, np.inf, dof)

    def unit(self, parameter: int) -> Real:
        """The contrast that picks one parameter, ``(P, 1)``."""
        return np.eye(len(self.theta))[:, [parameter]]

    def asymptote_shift(self) -> tuple[Real, Bools]:
        """Standard errors by which the counts pull B off its fixed value (score test), and whether that is beyond chance, ``(n,)`` each."""
        totals, c = self.data.totals, self.curve
        n = self.theta.shape[1]
        if self.free:
            return np.full(n, np.nan), np.zeros(n, dtype=bool)
        own = totals.shots * c.weight
        with_b = own * c.signal
        cross = np.concatenate([with_b.sum(axis=(0, 1))[None], -c.rate * (totals.lengths @ with_b)])
        explained = (c.covariance * cross).sum(axis=1)
        lever = self.lever(-explained, 1.0)  # the score of B less what A and p explain of it
        parts = self.parts(lever, lever)
        all_own = own.sum(axis=(0, 1))
        binomial = all_own - (explained * cross).sum(axis=0)
        # few sequences may scatter little by luck just where it counts: at least as much as all of them do, as for chi-square
        least = binomial * np.maximum(np.nan_to_num(self.overdispersion, nan=1.0), 1.0)
        z = (lever * c.residual).sum(axis=(0, 1)) / np.sqrt(np.maximum(parts.sum(axis=0), least))
        tells = (totals.filled >= 3).any(axis=0) & (binomial > 1e-9 * all_own)
        z = np.where(tells, z, np.nan)
        beyond = np.abs(z) > special.ndtri(1 - _ALARM / 2)  # nothing less can be an alarm: the costly test is for these alone
        odd = np.flatnonzero(beyond)
        dof = satterthwaite(parts[:, odd].T, np.broadcast_to(self.data.dof, parts.shape)[:, odd].T)
        beyond[odd] = 2 * special.stdtr(np.minimum(dof, 1e9), -np.abs(z[odd])) < _ALARM
        return z, beyond

    def rate_variance(self, levers: list[Real]) -> tuple[Real, Real]:
        """Variance of log(-log p) of each arm and its degrees of freedom, each ``(G, n)``, from the levers of all parameters."""
        var, dof = zip(*(self._variance(levers[1 + g], self.curve.covariance[1 + g, 1 + g]) for g in range(len(self.rate))), strict=True)
        return np.stack(var) * self.data.inflate, np.stack(dof)

    def status(self, rate_variance: Real) -> Ints:
        """One code for each curve, as an index into :data:`REASONS`."""
        totals, t, m = self.data.totals, self.data.totals.shots, self.data.totals.lengths
        (first, seen), (second, left) = (_at(_nth(totals, k), self.curve.signal, t) for k in (0, 1))  # signal and shots where data begin
        weak, blind = (y < 3 * np.sqrt(0.25 / np.maximum(trials, 1)) for y, trials in ((second, left), (first, seen)))
        gone = weak & (blind | (second < _FALLEN * first))
        last = m[_nth(totals, totals.filled - 1)]
        flat = (rate_variance > 1.0) & (self.rate * last < 0.1)  # -log p is not resolved from 0
        out = np.zeros(len(self.dof), dtype=np.int64)
        for code, where in (
            ("no_decay", flat.all(axis=0)),
            ("drift", self.data.runs_z < special.ndtri(_ALARM)),
            ("poor_fit", self.misfit | ~(self.found | flat.any(axis=0))),
            ("too_fast", gone.any(axis=0)),
            ("no_data", totals.filled.min(axis=0) < (3 if self.free else 2)),  # as many as each arm has parameters
        ):
            out[where] = _CODES.index(code)
        return out

    def highest_rate(self, level: float) -> tuple[Real, Real]:
        """The rate -log p that the failures seen leave possible at this level, and that none at all would, ``(G, n)`` each.

        A shot of length m fails with probability A m rate, so A rate sum(shots m) failures are seen. The normal approximation puts the
        end of an interval too low when they are few; the exact Poisson limit does not (without any it is that of Clopper and Pearson).
        """
        exposure = np.exp(self.theta[0]) * (self.data.totals.lengths @ self.data.totals.shots)
        none = poisson_upper(0.0, level) / exposure
        seen, out = self.rate * exposure, none.copy()
        few = np.nonzero((seen > 1e-6) & (seen < _FEW_FAILURES))
        out[few] = poisson_upper(seen[few], level) / exposure[few]
        return out, none

    def fit(self, level: float, ratios: Sequence[tuple[int, int]], scale: float) -> tuple[JointFit, Bools]:
        """Estimates with intervals, NaN where the status rejects the curve; and which curves end elsewhere than at the fixed asymptote."""
        p, a = np.exp(-self.rate), np.exp(self.theta[0])
        few, none = self.highest_rate(level)
        levers = [self.lever(v) for v in self.curve.covariance]
        var, dof = self.rate_variance(levers)
        z, shifted = self.asymptote_shift()
        status = self.status(var)
        bad = _IS_REJECTED[status]
        half = student_t(dof, level) * np.sqrt(var) * self.rate
        error = np.zeros((5, len(ratios), len(a)))
        for k, (i, j) in enumerate(ratios):
            error[:, k] = self.gate_error(i, j, level, none[i], scale)

        any_bad = bad.any()

        def clean(x: Real) -> Real:  # (..., n) -> (n, ...)
            return np.ascontiguousarray(np.moveaxis(np.where(bad, np.nan, x) if any_bad else x, -1, 0))

        fit = JointFit(
            p=clean(p), p_low=clean(np.exp(-np.maximum(self.rate + half, few))), p_high=clean(np.exp(-np.maximum(self.rate - half, 0.0))),
            p_error=clean(self.rate * p * np.sqrt(var)), p_dof=clean(dof), a=clean(a), covariance=clean(self.covariance(p, a, levers)),
            b=clean(self.theta[-1] if self.free else np.full(len(a), self.data.totals.asymptote)),
            error=clean(error[0]), low=clean(error[1]), high=clean(error[2]), standard_error=clean(error[3]), dof_error=clean(error[4]),
            chi2=self.chi2, dof=self.dof, overdispersion=self.overdispersion, asymptote_z=z, runs_z=self.data.runs_z,
            status=np.array(_CODES)[status],
        )  # fmt: skip
        return fit, shifted & ~np.isin(status, [_CODES.index(code) for code in ("no_data", "too_fast")])

    def gate_error(self, interleaved: int, reference: int, level: float, least: Real, scale: float) -> tuple[Real, ...]:
        """Error, low, high, standard error and degrees of freedom of a gate from the ratio of two arms, ``(n,)`` each."""
        contrast = self.rate[interleaved] * self.unit(1 + interleaved) - self.rate[reference] * self.unit(1 + reference)
        var, dof = self.variance(contrast)
        delta = self.rate[interleaved] - self.rate[reference]
        half = student_t(dof, level) * np.sqrt(var)
        ends = (delta, delta - half, np.maximum(delta + half, least))
        return *(-scale * np.expm1(-x) for x in ends), scale * np.exp(-delta) * np.sqrt(var), dof

    def covariance(self, p: Real, a: Real, levers: list[Real]) -> Real:
        """Sandwich covariance of p of each arm, A[, B], ``(P, P, n)``; that of the model where the sequences show no scatter."""
        size = len(self.theta)
        order = [*range(1, 1 + len(p)), 0, *range(1 + len(p), size)]
        slope = np.concatenate([-self.rate * p, a[None], np.ones((size - 1 - len(p), len(a)))])  # of p, A, B by their parameters
        out = np.empty((size, size, len(a)))
        for i in range(size):
            for j in range(i + 1):
                out[i, j] = out[j, i] = self.parts(levers[order[i]], levers[order[j]]).sum(axis=0) * slope[i] * slope[j]
        out *= self.data.inflate
        model = self.curve.covariance[np.ix_(order, order)] * slope[:, None] * slope
        degenerate = ~(out[range(len(p)), range(len(p))] >= 0.1 * model[range(len(p)), range(len(p))]).all(axis=0)
        return np.where(degenerate, model, out)


def _nth(totals: Totals, k: int | Ints) -> npt.NDArray[np.intp]:
    """Index of the k-th length that holds data, ``(G, n)``; of any if there are not so many."""
    if (totals.filled == len(totals.lengths)).all():
        return np.broadcast_to(np.asarray(k), totals.filled.shape)
    return (np.cumsum(totals.shots > 0, axis=1) > np.broadcast_to(np.asarray(k), totals.filled.shape)[:, None]).argmax(axis=1)


def _at(length: npt.NDArray[np.intp], *values: Real) -> list[Real]:
    """Values ``(G, L, n)`` at one length of each curve ``(G, n)``."""
    return [np.take_along_axis(v, length[:, None], axis=1)[:, 0] for v in values]


def _goodness(data: Moments, curve: Curvature, parameters: int) -> tuple[Real, Ints, Bools, Real]:
    """Chi-square of the lengths' means about the model, in units of the scatter between sequences but at least of the binomial variance.

    Returns:
        chi-square, its degrees of freedom, whether chance hardly gives it (F test), and the scatter in binomial units; ``(n,)`` each.
    """
    totals, w = data.totals, curve.weight
    freedom = np.broadcast_to(np.maximum(data.sequences - 1, 0), w.shape)
    per_shot = w * data.per_shot * data.inflate
    all_freedom = freedom.sum(axis=(0, 1))
    pooled = per_shot.sum(axis=(0, 1)) / np.maximum(all_freedom, 1)
    spread = np.maximum(per_shot / np.maximum(freedom, 1), np.maximum(pooled, 1.0))
    chi2 = (w * curve.residual**2 / (np.maximum(totals.shots, 1) * spread)).sum(axis=(0, 1))
    dof = np.maximum(totals.filled.sum(axis=0) - parameters, 0)
    limit = _misfit_limit(dof, all_freedom)
    return chi2, dof.astype(np.int64), (dof > 0) & (chi2 > limit), np.where(all_freedom > 0, pooled, np.nan)


def _misfit_limit(dof: Ints, freedom: Real) -> Real:
    """The chi-square that a good curve exceeds once in a million, ``(n,)``; the same few pairs of degrees of freedom come again and again."""
    key = np.stack([dof, freedom.astype(np.int64)])
    if key.size and (key == key[:, :1]).all():
        key, which = key[:, :1], np.zeros(key.shape[1], dtype=np.intp)
    else:
        key, which = np.unique(key, axis=1, return_inverse=True)
    limit = key[0] * special.fdtri(np.maximum(key[0], 1), np.where(key[1] > 0, key[1], 10**9), 1 - _MISFIT)  # no scatter known: that of shots
    return np.asarray(limit[which.reshape(-1)])

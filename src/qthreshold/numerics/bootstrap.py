"""Stratified bootstrap of decays: sequences of each length are drawn anew, then their shots, for all curves and replicates as arrays.

Sequences scatter by more than their shots when noise is coherent. Of the covariance of the arms seen between them, the part that
their shots explain is taken out first (deviations from the length's mean are shrunk), because drawing shots puts it in again; the
rest is scaled for the lost degree of freedom. So the replicates have the variance seen in the data with any number of sequences, while
drawing sequences alone loses a factor (K-1)/K and drawing both without shrinking counts shots twice. Where sequences happen to
scatter by less than their shots, only sequences are drawn: setting such lengths to the scatter of shots would on average widen
the intervals. Arms of a sequence stay together. The shots of a length are drawn in one go, at the mean survival of its sequences.

References:
    B. Efron, R. J. Tibshirani, An Introduction to the Bootstrap, chapter 8 (strata, units of more than one measurement).
    A. C. Davison, D. V. Hinkley, Bootstrap Methods and their Application, section 3.8 (hierarchical data, shrinking).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qthreshold.numerics.decay import check_asymptote, interleaved_error
from qthreshold.numerics.intervals import bootstrap_interval
from qthreshold.numerics.likelihood import Totals, maximise
from qthreshold.numerics.rates import interleaved_gate_error
from qthreshold.numerics.sequences import Residuals, arrange, moments_of, residuals

__all__ = ["BootstrapError", "bootstrap_decays", "bootstrap_interleaved"]

Real = npt.NDArray[np.float64]
Codes = npt.NDArray[np.str_]

_BLOCK_CELLS = 2_000_000


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class BootstrapError:
    """Error of an interleaved gate with bootstrap intervals, average gate infidelity.

    Attributes:
        error: Estimate from the data themselves, ``(N,)``.
        low, high, standard_error: ``(N,)``.
        draws: Replicates, ``(R, N)``; rows are whole devices.
        failed: Share of replicates that could not be fitted, ``(N,)``.
        status: Of the fit to the data, ``(N,)``. With ``no_decay`` there is hardly a failure to resample, and the interval is the fit's own.
    """

    error: Real
    low: Real
    high: Real
    standard_error: Real
    draws: Real
    failed: Real
    status: Codes


def bootstrap_interleaved(
    lengths: npt.ArrayLike,
    survived_ref: npt.ArrayLike,
    survived_int: npt.ArrayLike,
    shots: npt.ArrayLike,
    *,
    rng: np.random.Generator,
    replicates: int = 1000,
    dim: int = 4,
    level: float = 0.95,
    outcome: npt.ArrayLike | None = None,
) -> BootstrapError:
    """Bootstrap of :func:`.decay.interleaved_error`; arguments as there.

    Args:
        lengths: ``(L,)``.
        survived_ref: ``(N, L, K)``.
        survived_int: ``(N, L, K)``.
        shots: Broadcastable to ``(N, L, K)`` or ``(2, N, L, K)``.
        rng: Source of randomness.
        replicates: How many.
        dim: Dimension d.
        level: Confidence level.
        outcome: Expected outcomes.

    Raises:
        ValueError: As there, or fewer than two replicates.
    """
    if replicates < 2:
        raise ValueError(f"a spread needs at least two replicates, got {replicates}")
    fit = interleaved_error(lengths, survived_ref, survived_int, shots, dim=dim, level=level, outcome=outcome)
    p = bootstrap_decays(
        lengths, [survived_ref, survived_int], shots, rng=rng, replicates=replicates, asymptote=1 / dim, outcome=outcome,
        free=fit.status == "asymptote_shifted",
    )  # fmt: skip
    draws = interleaved_gate_error(p[:, 0], p[:, 1], dim)
    draws[:, np.isnan(fit.error)] = np.nan
    low, high, error = bootstrap_interval(fit.error, draws, fit.dof_error, level)
    flat = fit.status == "no_decay"
    low, high, error = (np.where(flat, f, b) for f, b in ((fit.low, low), (fit.high, high), (fit.standard_error, error)))
    return BootstrapError(
        error=fit.error, low=low, high=high, standard_error=error, draws=draws, failed=np.isnan(draws).mean(axis=0), status=fit.status
    )


def bootstrap_decays(
    lengths: npt.ArrayLike,
    survived: Sequence[npt.ArrayLike],
    shots: npt.ArrayLike,
    *,
    rng: np.random.Generator,
    replicates: int = 1000,
    asymptote: float = 0.25,
    outcome: npt.ArrayLike | None = None,
    free: npt.ArrayLike = False,
) -> Real:
    """Decay parameters of replicates of every curve, ``(R, G, N)``; NaN where a replicate could not be fitted.

    Args:
        lengths: ``(L,)``.
        survived: Counts of each of the G arms, ``(N, L, K)``; the arms share A.
        shots: Broadcastable to ``(N, L, K)`` or ``(G, N, L, K)``.
        rng: Source of randomness. Replicates also depend on the block size, a constant of this version.
        replicates: R.
        asymptote: B.
        outcome: Expected outcomes, as for :func:`.decay.fit_decays`.
        free: Whether B is fitted, for all curves or each, ``(N,)``.

    Raises:
        ValueError: As for :func:`.decay.fit_decays`, or no replicates.
    """
    if replicates < 1:
        raise ValueError(f"at least one replicate is needed, got {replicates}")
    check_asymptote(asymptote)
    data = arrange(lengths, survived, shots, outcome)
    n = len(data.survived[0])
    fitted = np.broadcast_to(np.asarray(free, dtype=bool), (n,))
    sequences = _Strata.of(residuals(data, slice(None)), data.lengths)
    out = np.empty((replicates, len(data.survived), n))
    step = max(_BLOCK_CELLS // max(sequences.share[0].size, 1), 1)
    for first in range(0, replicates, step):
        rows = slice(first, min(first + step, replicates))
        x, total = sequences.draw(rows.stop - rows.start, rng)
        for b, mine in ((asymptote, np.flatnonzero(~fitted)), (None, np.flatnonzero(fitted))):
            if mine.size:
                out[rows][..., mine] = _fit(Totals(data.lengths, x[..., mine], total[..., mine], b))
    return out


def _fit(totals: Totals) -> Real:
    """Fit replicates and curves side by side: ``(G, L, R, N)`` counts to ``(R, G, N)`` decay parameters."""
    arms, lengths, replicates, n = totals.shots.shape
    flat = Totals(totals.lengths, totals.survived.reshape(arms, lengths, -1), totals.shots.reshape(arms, lengths, -1), totals.asymptote)
    theta, found, _ = maximise(flat)
    p = np.exp(-np.exp(theta[1 : 1 + arms]))
    p[:, ~found & (p < 1 - 1e-11).all(axis=0)] = np.nan  # no decay at all is an answer, no signal is none
    return p.reshape(arms, replicates, n).swapaxes(0, 1)


@dataclass(frozen=True, slots=True)
class _Strata:
    """Sequences to draw from, the missing ones last.

    Attributes:
        share: Survival of each sequence, its deviation from the mean of the length scaled, ``(G, K, L, N)``.
        shots: ``(G, K, L, N)``.
        count: Sequences of each length, ``(L, N)``.
        exact: Lengths whose shots are not drawn, ``(L, N)``.
    """

    share: Real
    shots: Real
    count: npt.NDArray[np.int64]
    exact: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, r: Residuals, lengths: Real) -> "_Strata":
        """Transform deviations so that drawing sequences, and shots where they are drawn, gives the scatter of the arms that was seen."""
        m = moments_of(r, lengths, 0.0)
        variance = r.mean * (1 - r.mean)
        between = _last(m.between(variance))  # what is left when drawing shots puts their part in again
        seen = _last(m.covariance(variance, np.ones(variance.shape[2])) / np.maximum(m.pairs, 1))  # what sequences alone must bring
        by_shots = _last(np.eye(len(variance))[:, :, None, None] * (m.totals.shots * variance) / np.maximum(m.pairs, 1))
        alike = np.trace(seen.sum(axis=0), axis1=1, axis2=2) < 0.1 * np.trace(by_shots.sum(axis=0), axis1=1, axis2=2)  # no scatter to learn from
        exact = (np.linalg.eigvalsh(between)[..., 0] < 0) & ~alike
        wanted = np.where(exact[..., None, None], seen, np.where(alike[:, None, None], 0.0, between))
        taken = (r.shots > 0).any(axis=0)
        count = taken.sum(axis=0)
        drawn = np.einsum("gkln,hkln->lngh", r.share, r.share) / np.maximum(count, 1)[..., None, None]  # covariance of what is drawn as it is
        share = r.mean[:, None] + np.einsum("lngh,hkln->gkln", _root(wanted) @ _root(drawn, -0.5), r.share)
        order = np.argsort(~taken, axis=0, kind="stable")[None]
        return cls(np.take_along_axis(share, order, axis=1), np.take_along_axis(r.shots, order, axis=1), count, exact)

    def draw(self, replicates: int, rng: np.random.Generator) -> tuple[Real, Real]:
        """Survived and all shots of each length, ``(G, L, R, N)`` each. Every place keeps its shots and gets a sequence drawn for it."""
        arms, k, lengths, n = self.share.shape
        pick = (rng.random((k, lengths, replicates, n), dtype=np.float32) * self.count[:, None]).astype(np.intp)
        pick = np.minimum(pick, np.maximum(self.count[:, None] - 1, 0))
        cell = pick * (lengths * n) + np.arange(lengths)[:, None, None] * n + np.arange(n)
        survived = np.stack([(self.shots[g][:, :, None] * self.share[g].ravel()[cell]).sum(axis=0) for g in range(arms)])
        total = np.broadcast_to(self.shots.sum(axis=1)[:, :, None], survived.shape)
        chance = np.clip(survived / np.maximum(total, 1), 0.0, 1.0)
        drawn = rng.binomial(total.astype(np.int64), chance)
        return np.where(self.exact[:, None], total * chance, drawn), total


def _last(matrix: Real) -> Real:
    """``(G, G, L, n)`` to ``(L, n, G, G)``."""
    return np.moveaxis(matrix, (0, 1), (2, 3))


def _root(matrix: Real, power: float = 0.5) -> Real:
    """Power of symmetric positive matrices ``(..., G, G)``; directions without variance stay without."""
    value, vector = np.linalg.eigh(matrix)
    some = value > 1e-12 * np.maximum(value[..., -1:], 1e-300)
    scale = np.where(some, np.maximum(value, 1e-300) ** power, 0.0)
    return np.asarray((vector * scale[..., None, :]) @ np.swapaxes(vector, -1, -2))

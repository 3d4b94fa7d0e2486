"""Batched fits of A p^m + B and the error rates that follow from them.

Data are integers: survived and shots, shape (N, L, K) for N curves, L lengths, K sequences per length; a cell with no
shots is missing. All curves advance together by Fisher scoring of the binomial likelihood; parameters are log A and
log(-log p), so p stays inside (0, 1) without clipping. Standard errors are sandwich estimates: the scatter between the
sequences of a length (ddof = 1) replaces the binomial variance, so that coherent noise, which makes sequences differ by
more than their shots, widens the interval; Student t with Satterthwaite degrees of freedom accounts for few sequences.

References:
    E. Magesan, J. M. Gambetta, J. Emerson, arXiv:1009.3639 (RB); E. Magesan et al., arXiv:1203.4550 (interleaved RB).
    R. Harper et al., arXiv:1901.00535 (asymptote fixed by a random final Pauli).
    H. White, Econometrica 50, 1 (1982) (sandwich covariance).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from qthreshold.numerics.intervals import satterthwaite, student_t
from qthreshold.numerics.rates import magesan_bound

__all__ = ["REASONS", "REJECTED", "DecayFit", "InterleavedError", "fit_decays", "interleaved_error", "magesan_bound"]

Real = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.str_]

REASONS = {
    "ok": "",
    "no_decay": "no decay seen: the error is not resolved from zero, longer sequences would resolve it",
    "too_fast": "the signal is gone before the second length: shorter sequences are needed",
    "poor_fit": "the points do not follow A p^m + B (drift, leakage or memory in the noise)",
    "no_data": "too few lengths hold data: two are needed, three where the asymptote is fitted too",
}
"""Status codes of a fit and their one-line reasons. Curves with ``too_fast``, ``poor_fit`` and ``no_data`` are NaN."""

REJECTED = ("too_fast", "poor_fit", "no_data")
"""Status codes of curves without an estimate."""

_REJECT = 1e-6  # a good curve is rejected about once in a million
_STEPS = 60
_QUICK_STEPS = 12
_LOG_RATE = (np.log(1e-12), np.log(40.0))
_QUIET = np.errstate(over="ignore", invalid="ignore", divide="ignore")  # curves without information overflow, and end as NaN with a status


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DecayFit:
    """Fit of N curves; every array has length N, ``covariance`` is ``(N, P, P)`` in the order p, a[, b]."""

    p: Real
    p_low: Real
    p_high: Real
    p_error: Real
    p_dof: Real
    a: Real
    b: Real
    covariance: Real
    chi2: Real
    dof: Ints
    status: Codes


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class InterleavedError:
    """Joint fit of both arms of interleaved RB; every array has length N.

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
    a: Real
    chi2: Real
    dof: Ints
    status: Codes


@_QUIET
def fit_decays(
    lengths: npt.ArrayLike, survived: npt.ArrayLike, shots: npt.ArrayLike, *, asymptote: float | None = 0.25, level: float = 0.95
) -> DecayFit:
    """Fit A p^m + B to every curve.

    Args:
        lengths: Numbers of Cliffords m, shape ``(L,)``, increasing.
        survived: Counts of the expected outcome, int64 ``(N, L, K)``.
        shots: Shots per sequence, int64, broadcastable to ``(N, L, K)``; 0 where a cell is missing.
        asymptote: B, fixed by design (1/d with a random final Pauli); None fits it.
        level: Confidence level of ``p_low`` and ``p_high``.

    Returns:
        One :class:`DecayFit`. Curves that cannot be fitted are NaN and say why in ``status``.

    Raises:
        ValueError: Shapes do not match, counts lie outside 0..shots, or lengths do not increase.

    Example:
        >>> m = np.array([1, 50, 150])
        >>> x = np.rint(1000 * (0.75 * 0.99**m + 0.25)).astype(int)[None, :, None].repeat(4, 2)
        >>> round(float(fit_decays(m, x, 1000).p[0]), 4)
        0.99
    """
    data = _Data.check(lengths, [survived], shots, asymptote)
    fit = _solve(data)
    var, dof = fit.variance(np.eye(fit.size)[1])
    p = np.exp(-np.exp(fit.theta[:, 1]))
    low, high = _decay_interval(fit, 0, level)
    jacobian = np.zeros((len(p), fit.size, fit.size))
    jacobian[:, 0, 1] = p * np.log(p)  # dp / d log(-log p)
    jacobian[:, 1, 0] = np.exp(fit.theta[:, 0])
    if asymptote is None:
        jacobian[:, 2, 2] = 1.0
    covariance = jacobian @ fit.covariance() @ jacobian.swapaxes(1, 2)
    status = fit.status()
    bad = _rejected(status)
    nan = _nan_where(bad)
    return DecayFit(
        p=nan(p), p_low=nan(low), p_high=nan(high), p_error=nan(np.abs(p * np.log(p)) * np.sqrt(var)), p_dof=nan(dof),
        a=nan(np.exp(fit.theta[:, 0])), b=nan(fit.b), covariance=np.where(bad[:, None, None], np.nan, covariance),
        chi2=fit.chi2, dof=fit.dof, status=status,
    )  # fmt: skip


@_QUIET
def interleaved_error(
    lengths: npt.ArrayLike,
    survived_ref: npt.ArrayLike,
    survived_int: npt.ArrayLike,
    shots: npt.ArrayLike,
    *,
    dim: int = 4,
    level: float = 0.95,
) -> InterleavedError:
    """Error of the interleaved gate, r = (d-1)/d (1 - p_int/p_ref), from a joint fit with one A and B = 1/d.

    The arms are paired: sequence k of a length uses the same random Cliffords in both, so the covariance of
    (p_ref, p_int) comes from the scatter of both together.

    Args:
        lengths: Numbers of Cliffords, shape ``(L,)``, increasing.
        survived_ref: Survival counts of the reference arm, int64 ``(N, L, K)``.
        survived_int: The same for the interleaved arm.
        shots: Shots per sequence and arm, broadcastable to ``(N, L, K)``, or ``(2, N, L, K)`` when the arms differ.
        dim: Dimension d of the pair (4) or qubit (2).
        level: Confidence level.

    Returns:
        One :class:`InterleavedError`; ``systematic_low/high`` is error -/+ the bound of :func:`magesan_bound`.

    Raises:
        ValueError: As for :func:`fit_decays`.

    References:
        E. Magesan et al., arXiv:1203.4550, eqs. (4) and (5).
    """
    data = _Data.check(lengths, [survived_ref, survived_int], shots, 1 / dim)
    fit = _solve(data)
    rate = np.exp(fit.theta[:, 1:3])  # -log p of both arms
    contrast = np.stack([np.zeros(len(rate)), -rate[:, 0], rate[:, 1]], axis=1)  # of log(p_ref / p_int)
    var, dof = fit.variance(contrast)
    half = student_t(dof, level) * np.sqrt(var)
    delta = rate[:, 1] - rate[:, 0]
    scale = (dim - 1) / dim
    error, low, high = (-scale * np.expm1(-(delta + s * half)) for s in (0, -1, 1))
    p = np.exp(-rate)
    arms = [_decay_interval(fit, g, level) for g in (0, 1)]
    status = fit.status()
    low_end = np.where((status == "no_decay")[:, None], np.stack([a[0] for a in arms], axis=1), p)  # p = 1 would promise too much
    bound = magesan_bound(low_end[:, 0], low_end[:, 1], dim)
    nan = _nan_where(_rejected(status))
    return InterleavedError(
        error=nan(error), low=nan(low), high=nan(high),
        standard_error=nan(scale * np.exp(-delta) * np.sqrt(var)), dof_error=nan(dof),
        systematic_low=nan(np.maximum(error - bound, np.minimum(error, 0.0))), systematic_high=nan(error + bound),
        p_ref=nan(p[:, 0]), p_ref_low=nan(arms[0][0]), p_ref_high=nan(arms[0][1]),
        p_int=nan(p[:, 1]), p_int_low=nan(arms[1][0]), p_int_high=nan(arms[1][1]),
        a=nan(np.exp(fit.theta[:, 0])), chi2=fit.chi2, dof=fit.dof, status=status,
    )  # fmt: skip


def _decay_interval(fit: "_Solution", arm: int, level: float) -> tuple[Real, Real]:
    """Interval of p of one arm, symmetric in -log p, which is at least 0."""
    var, dof = fit.variance(np.eye(fit.size)[1 + arm])
    rate = np.exp(fit.theta[:, 1 + arm])
    half = student_t(dof, level) * np.sqrt(var) * rate
    return np.exp(-(rate + half)), np.exp(-np.maximum(rate - half, 0.0))


def _rejected(status: Codes) -> npt.NDArray[np.bool_]:
    return np.isin(status, REJECTED)


def _nan_where(bad: npt.NDArray[np.bool_]):  # type: ignore[no-untyped-def]
    return lambda x: np.where(bad, np.nan, x)


@dataclass(frozen=True, slots=True)
class _Data:
    """Counts of G arms that share A (and B): survived and shots are ``(N, G, L, K)``, totals ``(N, G, L)``."""

    lengths: Real
    survived: Real
    shots: Real
    total_survived: Real
    total_shots: Real
    asymptote: float | None

    @classmethod
    def check(cls, lengths: npt.ArrayLike, arms: list[npt.ArrayLike], shots: npt.ArrayLike, asymptote: float | None) -> "_Data":
        m = np.asarray(lengths, dtype=float)
        if m.ndim != 1 or m.size == 0 or (m < 0).any() or (np.diff(m) <= 0).any():
            raise ValueError(f"lengths must be a non-empty increasing list of non-negative numbers, got {np.asarray(lengths).tolist()}")
        if asymptote is not None and not 0 <= asymptote < 1:
            raise ValueError(f"asymptote must lie in [0, 1), got {asymptote}")
        x = np.stack([np.asarray(a, dtype=float) for a in arms])
        if x.ndim != 4 or x.shape[2] != m.size:
            raise ValueError(f"survived must have shape (N, {m.size}, K), got {x.shape[1:]}")
        try:
            t = np.broadcast_to(np.asarray(shots, dtype=float), x.shape)
        except ValueError:
            raise ValueError(f"shots of shape {np.shape(shots)} do not fit survived of shape {x.shape[1:]}") from None
        if (x < 0).any() or (x > t).any():
            raise ValueError("survived must lie between 0 and shots in every cell")
        x, t = x.swapaxes(0, 1), t.swapaxes(0, 1)
        ones = np.ones(x.shape[-1])
        return cls(m, x, t, x @ ones, t @ ones, asymptote)

    def rows(self, index: npt.NDArray[np.integer] | slice) -> "_Data":
        """Some of the curves."""
        x, t = self.survived[index], self.shots[index]
        return _Data(self.lengths, x, t, self.total_survived[index], self.total_shots[index], self.asymptote)


@dataclass(frozen=True, slots=True)
class _Solution:
    theta: Real  # (N, P): log A, log(-log p) of each arm[, B]
    b: Real  # (N,)
    data: _Data
    bread: Real  # (N, P, P) inverse Fisher information
    slope: Real  # (N, G, L, P) change of the score per count
    scatter: Real  # (N, L, G, G) covariance of the arms' counts at each length
    scatter_dof: Real  # (N, L)
    chi2: Real
    dof: Ints
    misfit: npt.NDArray[np.bool_]

    @property
    def size(self) -> int:
        return self.theta.shape[1]

    def covariance(self) -> Real:
        """Sandwich covariance of the parameters, ``(N, P, P)``."""
        lever = [self._lever(c) for c in np.eye(self.size)]
        return np.stack([np.stack([self._spread(a, b).sum(axis=1) for b in lever], axis=1) for a in lever], axis=1)

    def variance(self, contrast: npt.ArrayLike) -> tuple[Real, Real]:
        """Variance and degrees of freedom of a linear combination of parameters, ``contrast`` (P,) or (N, P)."""
        c = np.broadcast_to(np.asarray(contrast, dtype=float), self.theta.shape)
        lever = self._lever(c)
        parts = self._spread(lever, lever)
        model = np.einsum("np,npq,nq->n", c, self.bread, c)
        var, dof = parts.sum(axis=1), satterthwaite(parts, self.scatter_dof)
        degenerate = var < 0.1 * model  # all sequences alike, as when every shot survived: no scatter to learn from
        return np.where(degenerate, model, var), np.where(degenerate, np.inf, dof)

    def _lever(self, contrast: Real) -> Real:
        """How much one more count in each cell moves a combination of parameters, ``(N, G, L)``."""
        c = np.broadcast_to(contrast, self.theta.shape)
        direction = np.einsum("np,npq->nq", c, self.bread)
        return np.einsum("nq,nglq->ngl", direction, self.slope)

    def _spread(self, a: Real, b: Real) -> Real:
        """Covariance of two combinations contributed by each length, ``(N, L)``."""
        return np.einsum("ngl,nlgh,nhl->nl", a, self.scatter, b)

    def status(self) -> Codes:
        d = self.data
        filled = (d.total_shots > 0).sum(axis=2).min(axis=1)
        out = np.full(len(self.theta), "ok", dtype="<U16")
        rate = np.exp(self.theta[:, 1 : 1 + d.survived.shape[1]])
        m = d.lengths
        second = (np.cumsum(d.total_shots > 0, axis=2) >= 2).argmax(axis=2)  # the second length that holds data, (N, G)
        left = np.exp(self.theta[:, 0, None] - rate * m[second])  # signal there
        trials = np.take_along_axis(d.total_shots, second[..., None], axis=2)[..., 0]
        var_dof = [self.variance(np.eye(self.size)[1 + g]) for g in range(rate.shape[1])]
        flat = np.stack([np.sqrt(v) for v, _ in var_dof], axis=1) > 1.0  # -log p is not resolved from 0
        out[(flat & (rate * m[-1] < 0.1)).any(axis=1)] = "no_decay"
        out[self.misfit] = "poor_fit"
        out[(left < 3 * np.sqrt(0.25 / np.maximum(trials, 1))).any(axis=1)] = "too_fast"
        out[filled < (2 if d.asymptote is not None else 3)] = "no_data"  # as many as each arm has parameters
        return out


def _design(data: _Data, theta: Real) -> tuple[Real, Real]:
    """Model survival ``(N, G, L)`` and its gradient ``(N, G, L, P)``."""
    arms = data.survived.shape[1]
    rate = np.exp(theta[:, 1 : 1 + arms])[:, :, None]
    signal = np.exp(theta[:, 0])[:, None, None] * np.exp(-rate * data.lengths)
    gradient = np.zeros((*signal.shape, theta.shape[1]))
    gradient[..., 0] = signal
    for g in range(arms):
        gradient[:, g, :, 1 + g] = -signal[:, g] * rate[:, g] * data.lengths
    if data.asymptote is not None:
        return signal + data.asymptote, gradient
    gradient[..., -1] = 1.0
    return signal + theta[:, -1, None, None], gradient


def _weights(data: _Data, model: Real) -> Real:
    """1 / (S (1 - S)) with S kept half a count away from 0 and 1."""
    edge = 0.5 / (data.total_shots + 1)
    s = np.clip(model, edge, 1 - edge)
    return 1 / (s * (1 - s))


def _deviance(data: _Data, model: Real) -> Real:
    edge = 0.5 / (data.total_shots + 1)
    s = np.clip(model, edge, 1 - edge)
    ideal = data.total_survived / np.maximum(data.total_shots, 1)
    excess = np.maximum(model - 1, 0) + np.maximum(-model, 0)  # beyond a probability: lean back
    value = -special.xlogy(data.total_survived, s) - special.xlogy(data.total_shots - data.total_survived, 1 - s)
    best = -special.xlogy(data.total_survived, ideal) - special.xlogy(data.total_shots - data.total_survived, 1 - ideal)
    return np.asarray(2 * (value - best + data.total_shots * excess).sum(axis=(1, 2)), dtype=float)


def _start(data: _Data) -> Real:
    """Parameters from a grid over decay rates with the amplitude solved linearly."""
    n, arms = data.survived.shape[:2]
    floor = data.asymptote if data.asymptote is not None else 0.0
    y = data.total_survived / np.maximum(data.total_shots, 1) - floor
    w = data.total_shots
    grid = np.geomspace(1e-3 / max(data.lengths[-1], 1.0), 5.0, 60)
    shape = np.exp(-grid[:, None] * data.lengths)  # (R, L)
    # per arm: best (A, rate); the shared A is the mean of the arms
    num, den = np.einsum("ngl,rl->ngr", w * y, shape), np.einsum("ngl,rl->ngr", w, shape**2)
    amp = np.clip(num / np.maximum(den, 1e-300), 1e-3, 1.0)
    loss = np.einsum("ngl,ngrl->ngr", w, (y[:, :, None, :] - amp[..., None] * shape) ** 2)
    best = loss.argmin(axis=2)
    theta = np.zeros((n, 1 + arms + (data.asymptote is None)))
    theta[:, 0] = np.log(np.take_along_axis(amp, best[..., None], axis=2)[..., 0].mean(axis=1))
    theta[:, 1 : 1 + arms] = np.log(grid[best])
    return theta


def _solve(data: _Data) -> _Solution:
    theta, done = _score(data) if data.asymptote is not None else (np.zeros((len(data.survived), 3)), np.zeros(len(data.survived), dtype=bool))
    rest = np.flatnonzero(~done)
    if rest.size:
        theta[rest] = _search(data.rows(rest))
    return _summarize(data, theta)


def _score(data: _Data) -> tuple[Real, npt.NDArray[np.bool_]]:
    """Plain Fisher scoring from a log-linear start, in closed form: fast, and right for all but odd curves.

    The information matrix couples the arms only through their common A, so one Schur complement solves it.

    Returns:
        Parameters ``(N, P)``, and which curves converged.
    """
    m, floor = data.lengths, data.asymptote or 0.0
    t, y = data.total_shots, data.total_survived / np.maximum(data.total_shots, 1)
    signal = np.maximum(y - floor, 0.02)
    w = t * signal**2
    log = np.log(signal)
    s0, s1, s2, z0, z1 = w.sum(2), w @ m, w @ m**2, (w * log).sum(2), (w * log) @ m
    rate = np.maximum((s1 * z0 - s0 * z1) / (s0 * s2 - s1**2), 1e-3 / max(m[-1], 1.0))
    log_a = np.clip(((z0 + rate * s1) / s0).mean(axis=1), -3.0, 0.0)
    log_rate = np.log(rate)
    edge = 0.5 / (t + 1)
    done = np.zeros(len(t), dtype=bool)
    for _ in range(_QUICK_STEPS):
        rate = np.exp(log_rate)
        e = np.exp(log_a[:, None, None] - rate[:, :, None] * m)
        model = np.clip(e + floor, edge, 1 - edge)
        w = e / (model * (1 - model))
        r, f = w * t * (y - e - floor), w * t * e
        score_a, score = r.sum(axis=(1, 2)), -rate * (r @ m)
        faa, fa, ff = f.sum(axis=(1, 2)), -rate * (f @ m), rate**2 * (f @ m**2)
        step_a = (score_a - (fa * score / ff).sum(axis=1)) / (faa - (fa**2 / ff).sum(axis=1))
        step = (score - fa * step_a[:, None]) / ff
        log_a, log_rate = log_a + np.clip(step_a, -1.0, 1.0), log_rate + np.clip(step, -1.0, 1.0)
        done = np.maximum(np.abs(step_a), np.abs(step).max(axis=1)) < 1e-9  # scoring converges fast: the next step is far smaller
        if done.all():
            break
    theta = np.concatenate([log_a[:, None], log_rate], axis=1)
    inside = (log_a < np.log(2.0)) & (log_rate > _LOG_RATE[0]).all(axis=1) & (log_rate < _LOG_RATE[1]).all(axis=1)
    return theta, done & inside & np.isfinite(theta).all(axis=1)


def _search(data: _Data) -> Real:
    """Damped Fisher scoring from a grid start, which no curve can upset: parameters ``(N, P)``."""
    theta = _start(data)
    n, size = theta.shape
    low = np.full(size, _LOG_RATE[0])
    high = np.full(size, _LOG_RATE[1])
    low[0], high[0] = np.log(1e-6), np.log(2.0)
    if data.asymptote is None:
        low[-1], high[-1] = -0.5, 1.0
    damping = np.full(n, 1e-3)
    active = np.arange(n)
    loss = _deviance(data, _design(data, theta)[0])
    for _ in range(_STEPS):
        if active.size == 0:
            break
        part = data.rows(active)
        model, gradient = _design(part, theta[active])
        w = _weights(part, model)
        score = np.einsum("nglp,ngl->np", gradient, w * (part.total_survived - part.total_shots * model))
        fisher = np.einsum("nglp,ngl,nglq->npq", gradient, w * part.total_shots, gradient)
        scale = np.maximum(np.einsum("npp->np", fisher), 1e-12)
        step = np.linalg.solve(fisher + (damping[active, None] * scale)[:, :, None] * np.eye(size), score[..., None])[..., 0]
        step = np.clip(step, -2.0, 2.0)
        trial = np.clip(theta[active] + step, low, high)
        trial_loss = _deviance(part, _design(part, trial)[0])
        better = trial_loss <= loss[active] + 1e-12 * np.abs(loss[active])
        moved = np.abs(trial - theta[active]).max(axis=1)
        done = (moved < 1e-10) | (damping[active] > 1e10)
        theta[active[better]] = trial[better]
        loss[active[better]] = trial_loss[better]
        damping[active] = np.where(better, np.maximum(damping[active] * 0.1, 1e-14), damping[active] * 10)
        active = active[~done]
    return theta


def _invert(fisher: Real) -> Real:
    """Inverses of information matrices ``(N, P, P)``; pseudo-inverses where a curve says nothing about a parameter."""
    size = fisher.shape[-1]
    scale = 1 / np.sqrt(np.maximum(np.einsum("npp->np", fisher), 1e-300))
    scaled = fisher * scale[:, :, None] * scale[:, None, :]
    out = np.empty_like(scaled)
    if size == 2:
        det = 1 - scaled[:, 0, 1] ** 2
        out[:, 0, 0] = out[:, 1, 1] = 1 / det
        out[:, 0, 1] = out[:, 1, 0] = -scaled[:, 0, 1] / det
    elif size == 3:
        a, b, c = scaled[:, 0, 1], scaled[:, 0, 2], scaled[:, 1, 2]
        det = 1 + 2 * a * b * c - a**2 - b**2 - c**2
        cofactors = [[1 - c**2, b * c - a, a * c - b], [b * c - a, 1 - b**2, a * b - c], [a * c - b, a * b - c, 1 - a**2]]
        for i in range(3):
            for j in range(3):
                out[:, i, j] = cofactors[i][j] / det
    else:
        det = np.zeros(len(out))
    poor = np.flatnonzero(~(det > 1e-9))
    if poor.size:
        out[poor] = np.linalg.pinv(np.nan_to_num(scaled[poor]) + 1e-13 * np.eye(size), hermitian=True)
    return out * scale[:, :, None] * scale[:, None, :]


def _summarize(data: _Data, theta: Real) -> _Solution:
    size = theta.shape[1]
    model, gradient = _design(data, theta)
    w = _weights(data, model)
    slope = gradient * w[..., None]
    counts = slope * data.total_shots[..., None]
    bread = _invert(np.stack([np.stack([(counts[..., p] * gradient[..., q]).sum(axis=(1, 2)) for q in range(size)], -1) for p in range(size)], -1))

    mean = data.total_survived / np.maximum(data.total_shots, 1)
    residual = data.survived - data.shots * mean[..., None]  # scatter about the length's own mean
    taken = data.shots > 0
    whole = bool(taken.all())
    per_arm = np.full(mean.shape, taken.shape[3]) if whole else taken.sum(axis=3)  # sequences, (N, G, L)
    count = per_arm[:, 0] if whole else taken.any(axis=1).sum(axis=2)  # (N, L)
    inflate = np.where(count > 1, count / np.maximum(count - 1, 1), 0.0)
    square = np.einsum("nglk,nhlk->nlgh", residual, residual)
    scatter = square * inflate[:, :, None, None]
    binomial = np.einsum("ngl,gh->nlgh", data.total_shots / w, np.eye(w.shape[1]))
    scatter = np.where((count > 1)[:, :, None, None], scatter, binomial)  # one sequence: no scatter, binomial variance
    scatter_dof = np.where(count > 1, np.maximum(count - 1, 1), 1e9).astype(float)

    freedom = np.maximum(per_arm - 1, 0)
    if whole and data.shots.min(initial=1) == data.shots.max(initial=1):
        per_shot = w * np.einsum("nlgg->ngl", square) / data.shots.max(initial=1)
    else:
        per_shot = w * np.einsum("nglk,nglk,nglk->ngl", residual, residual, 1 / np.maximum(data.shots, 1))
    pooled = per_shot.sum(axis=(1, 2)) / np.maximum(freedom.sum(axis=(1, 2)), 1)
    spread = np.maximum(np.where(freedom > 0, per_shot / np.maximum(freedom, 1), 0.0), np.maximum(pooled, 1.0)[:, None, None])
    chi2 = (w * data.total_shots * (mean - model) ** 2 / spread).sum(axis=(1, 2))
    dof = np.maximum((data.total_shots > 0).sum(axis=(1, 2)) - size, 0)
    misfit = (dof > 0) & (chi2 > dof)  # nothing milder can be rejected, so the costly test is for these alone
    odd = np.flatnonzero(misfit)
    misfit[odd] = special.fdtrc(dof[odd], np.maximum(freedom[odd].sum(axis=(1, 2)), 1), chi2[odd] / dof[odd]) < _REJECT
    b = np.full(len(theta), data.asymptote) if data.asymptote is not None else theta[:, -1].copy()
    return _Solution(theta, b, data, bread, slope, scatter, scatter_dof, chi2, dof, misfit)

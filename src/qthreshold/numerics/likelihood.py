"""Maximum likelihood of decays A p^m + B for many curves at once.

Curves are columns: arrays end in ``(..., n)``, so that every operation runs along contiguous curves. A curve has G arms that
share A (and B); arm g has its own decay parameter. Parameters theta, shape ``(P, n)``, are log A, log(-log p) of each arm, and
B where it is fitted: p stays inside (0, 1) and A above 0 without clipping, and the covariance stays meaningful near p = 1.

The information matrix couples the arms only through what they share. It is therefore inverted in closed form, one shared
parameter at a time, which keeps a fit to a few array operations.

References:
    P. McCullagh, J. A. Nelder, Generalized Linear Models, 2nd ed., section 2.5 (Fisher scoring).
    D. W. Marquardt, SIAM J. Appl. Math. 11, 431 (1963) (damping).
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt

from qthreshold.numerics import special

__all__ = ["Curvature", "Totals", "curvature", "deviance", "maximise"]

Real = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_QUICK_STEPS = 12
_CAREFUL_STEPS = 60
_CONVERGED = 2e-5  # of a step relative to the rate, and of log A; Newton's next step would be about its square
_LOG_RATE = (np.log(1e-12), np.log(40.0))
_LOG_A = (np.log(1e-6), np.log(2.0))
_B = (-0.1, 1.0)  # a little below 0, where half of all estimates of a vanishing asymptote lie
_SLOWEST = 1e-7  # signal lost over all lengths, from which rates are sought
_SINGULAR = 1e-12  # least share of a parameter's information that the others may leave to it


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts of n curves, summed over sequences.

    Attributes:
        lengths: m, ``(L,)``.
        survived, shots: ``(G, L, n)``.
        asymptote: B, or None where it is fitted.
        filled: How many lengths of each arm hold data, ``(G, n)``.
    """

    lengths: Real
    survived: Real
    shots: Real
    asymptote: float | None
    filled: Ints = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "filled", (self.shots > 0).sum(axis=1))

    def columns(self, index: npt.NDArray[np.intp]) -> Self:
        """Some of the curves."""
        return type(self)(self.lengths, self.survived[..., index], self.shots[..., index], self.asymptote)


@dataclass(frozen=True, slots=True)
class Curvature:
    """The model at some parameters, and what the counts say about it.

    Attributes:
        model: Survival S, which may leave 0..1 a little, ``(G, L, n)``.
        weight: 1 / (S (1 - S)), with S kept half a count away from 0 and 1, ``(G, L, n)``.
        signal: A p^m, ``(G, L, n)``.
        residual: Survived counts less those of the model, ``(G, L, n)``.
        rate: -log p, ``(G, n)``.
        chi2: Pearson's chi-square in units of the binomial variance, ``(n,)``.
        covariance: Inverse Fisher information, ``(P, P, n)``.
    """

    model: Real
    weight: Real
    signal: Real
    residual: Real
    rate: Real
    chi2: Real
    covariance: Real


@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def maximise(totals: Totals) -> tuple[Real, Bools, Curvature]:
    """Maximum-likelihood parameters, which of them lie inside the allowed ranges, and the curvature there.

    Weights keep half a count away from survivals of 0 and 1, so the maximum is exact but for cells in which next to nothing failed.

    Args:
        totals: The counts.

    Returns:
        Parameters ``(P, n)``, NaN where an arm has too few lengths with data; ``(n,)``; and the curvature.
    """
    arms, n = totals.shots.shape[0], totals.shots.shape[2]
    enough = totals.filled.min(axis=0) >= (3 if totals.asymptote is None else 2)
    if totals.asymptote is None:
        theta, found = np.full((2 + arms, n), np.nan), np.zeros(n, dtype=bool)
    else:
        theta, found = _newton(totals)
        theta[:, ~enough], found[~enough] = np.nan, False
    curve = curvature(totals, theta)
    rest = np.flatnonzero((~found | _doubtful(totals, theta, curve)) & enough)
    if rest.size:
        part = totals.columns(rest)
        theta[:, rest], found[rest] = _search(part)
        better = curvature(part, theta[:, rest])
        for f in dataclasses.fields(Curvature):
            getattr(curve, f.name)[..., rest] = getattr(better, f.name)
    return theta, found, curve


def _doubtful(totals: Totals, theta: Real, curve: Curvature) -> Bools:
    """Where Newton steps may have led to a root that is not the maximum, ``(n,)``: beyond a survival of 1, or worse than a coarse search."""
    beyond = curve.model > 1
    out = np.asarray((beyond & (totals.shots > 0)).any(axis=(0, 1))) if beyond.any() else np.zeros(theta.shape[1], dtype=bool)
    dof = np.maximum(totals.filled.sum(axis=0) - len(theta), 0)
    odd = np.flatnonzero(~out & (curve.chi2 > 3 * dof + np.where(dof > 0, 3, 0.01)))
    if odd.size:
        part = totals.columns(odd)
        out[odd] = deviance(part, theta[:, odd]) > deviance(part, _grid_start(part))
    return out


def _newton(totals: Totals) -> tuple[Real, Bools]:
    """Newton steps from a log-linear start: fast, and right for all but odd curves. A curve that has converged rests.

    S = exp(log A - rate m) + B, so with eta = log A - rate m the second derivatives are those of a line through eta.
    """
    m, floor, t = totals.lengths, totals.asymptote or 0.0, totals.shots
    powers = np.stack([np.ones_like(m), m, m**2])
    excess = totals.survived / np.maximum(t, 1) - floor
    log_a, rate = _log_linear(powers, excess, t, floor)
    edge = _edge(t)
    moving = np.ones(t.shape[2], dtype=bool)
    for _ in range(_QUICK_STEPS):
        signal = np.exp(log_a - rate[:, None] * m[:, None])
        model = signal + floor
        residual = excess - signal
        u = _weight(model, edge)
        u *= signal
        w = t * u
        # minus the second derivative by eta is w (signal + residual (u (1 - 2 S) - 1)); written in place, which is a third faster
        model *= -2.0
        model += 1.0
        u *= model
        u -= 1.0
        u *= residual
        u += signal
        u *= w
        residual *= w
        step_a, step = _arrow_solve(powers @ u, powers[:2] @ residual)
        step_a = np.where(moving, np.clip(step_a, -1.0, 1.0), 0.0)
        step = np.where(moving, np.clip(step, -0.7 * rate, 2 * rate), 0.0)
        log_a, rate = log_a + step_a, rate + step
        moving &= ~(np.maximum(np.abs(step_a), np.abs(step / rate).max(axis=0)) < _CONVERGED)
        if not moving.any():
            break
    theta = np.concatenate([log_a[None], np.log(rate)])
    return theta, ~moving & _inside(theta, arms=len(t), free=False)


def _log_linear(powers: Real, signal: Real, shots: Real, floor: float) -> tuple[Real, Real]:
    """Start from a weighted line through log(survival - B): log A ``(n,)`` and rates ``(G, n)``."""
    y = np.maximum(signal, 0.02)
    w = shots * y**2 * _weight(y + floor, _edge(shots))
    log = np.log(y)
    s = powers @ w
    z = powers[:2] @ (w * log)
    rate = np.maximum((s[:, 1] * z[:, 0] - s[:, 0] * z[:, 1]) / (s[:, 0] * s[:, 2] - s[:, 1] ** 2), _SLOWEST / max(float(powers[1, -1]), 1.0))
    log_a = np.clip(((z[:, 0] + rate * s[:, 1]) / s[:, 0]).mean(axis=0), -3.0, 0.0)
    return log_a, rate


def _arrow_solve(curvature: Real, score: Real) -> tuple[Real, Real]:
    """Newton step of log A ``(n,)`` and rates ``(G, n)`` from sums over lengths of curvature and score times m^0, m^1, m^2."""
    lean = -curvature[:, 1] / curvature[:, 2]
    uphill = -score[:, 1]
    step_a = (score[:, 0].sum(axis=0) - (lean * uphill).sum(axis=0)) / (curvature[:, 0] + lean * curvature[:, 1]).sum(axis=0)
    return step_a, uphill / curvature[:, 2] - lean * step_a


def _inside(theta: Real, *, arms: int, free: bool) -> Bools:
    log_a, log_rate = theta[0], theta[1 : 1 + arms]
    good = (log_a > _LOG_A[0]) & (log_a < _LOG_A[1]) & (log_rate > _LOG_RATE[0]).all(axis=0) & (log_rate < _LOG_RATE[1]).all(axis=0)
    return good & (theta[-1] > _B[0]) & (theta[-1] < _B[1]) if free else good


def curvature(totals: Totals, theta: Real, damping: Real | None = None) -> Curvature:
    """Model, weights and inverse information at parameters ``(P, n)``; ``damping`` (n,) is added to the diagonal in its own scale."""
    m, t = totals.lengths, totals.shots
    arms = len(t)
    rate = np.exp(theta[1 : 1 + arms])
    signal = np.exp(theta[0] - rate[:, None] * m[:, None])
    model = signal + (theta[-1] if totals.asymptote is None else totals.asymptote)
    weight = _weight(model, _edge(t))
    powers = np.stack([np.ones_like(m), m, m**2])
    tw = t * weight
    cross = tw * signal
    information = powers @ (cross * signal)
    raised = 1.0 if damping is None else 1 + damping
    ff, fa = raised * np.maximum(rate**2 * information[:, 2], 1e-300), -rate * information[:, 1]
    inverse = np.zeros((arms, arms, t.shape[2]))
    inverse[range(arms), range(arms)] = 1 / ff
    inverse = _bordered(inverse, fa, raised * information[:, 0].sum(axis=0), first=True)
    if totals.asymptote is None:
        with_b = powers[:2] @ cross
        inverse = _bordered(inverse, np.concatenate([with_b[:, 0].sum(axis=0)[None], -rate * with_b[:, 1]]), raised * tw.sum(axis=(0, 1)))
    residual = totals.survived - t * model
    chi2 = (residual * residual * weight / np.maximum(t, 1)).sum(axis=(0, 1))
    return Curvature(model, weight, signal, residual, rate, chi2, inverse)


def _edge(shots: Real) -> Real:
    """Half a count: how near to 0 and 1 a survival may come in weights."""
    return np.asarray(0.5 / (shots + 1))


def _weight(model: Real, edge: Real) -> Real:
    """1 / (S (1 - S))."""
    kept = np.maximum(model, edge)
    np.minimum(kept, 1 - edge, out=kept)
    kept -= kept * kept
    return np.reciprocal(kept, out=kept)


def _bordered(inverse: Real, cross: Real, own: Real, *, first: bool = False) -> Real:
    """Inverse of a matrix that gets one more parameter, as its first or last.

    Args:
        inverse: Inverse of the matrix so far, ``(P, P, n)``.
        cross: Its information in common with the new parameter, ``(P, n)``.
        own: Information on the new parameter, ``(n,)``.
        first: Where the new one goes.
    """
    y = (inverse * cross).sum(axis=1)
    left = np.maximum(own - (cross * y).sum(axis=0), _SINGULAR * own)
    size = len(cross) + 1
    old, new = (slice(1, None), 0) if first else (slice(0, -1), -1)
    out = np.empty((size, size, inverse.shape[2]))
    out[old, old] = inverse + y[:, None] * (y / left)
    out[old, new] = out[new, old] = -y / left
    out[new, new] = 1 / left
    return out


def deviance(totals: Totals, theta: Real) -> Real:
    """Twice the log-likelihood that the model lacks of the saturated one, ``(n,)``; models beyond 0..1 are leant back."""
    t, x = totals.shots, totals.survived
    rate = np.exp(theta[1 : 1 + len(t)])
    model = np.exp(theta[0] - rate[:, None] * totals.lengths[:, None]) + (theta[-1] if totals.asymptote is None else totals.asymptote)
    s, ideal = np.clip(model, 1e-15, 1 - 1e-15), x / np.maximum(t, 1)
    beyond = np.maximum(model - 1, 0) + np.maximum(-model, 0)
    lacks = special.xlogy(x, ideal) - special.xlogy(x, s) + special.xlogy(t - x, 1 - ideal) - special.xlogy(t - x, 1 - s)
    return np.asarray(2 * (lacks + t * beyond).sum(axis=(0, 1)), dtype=float)


def _search(totals: Totals) -> tuple[Real, Bools]:
    """Damped Fisher scoring from a grid start, which no curve can upset: parameters ``(P, n)``, and which lie inside the ranges."""
    theta = _grid_start(totals)
    size, n = theta.shape
    free = totals.asymptote is None
    low, high = (np.full((size, 1), bound) for bound in _LOG_RATE)
    low[0], high[0] = _LOG_A
    if free:
        low[-1], high[-1] = _B
    damping = np.full(n, 1e-3)
    active = np.arange(n)
    loss = deviance(totals, theta)
    for _ in range(_CAREFUL_STEPS):
        if active.size == 0:
            break
        part, now = totals.columns(active), theta[:, active]
        step = np.clip(_scoring_step(part, now, damping[active]), -2.0, 2.0)
        trial = np.clip(now + step, low, high)
        trial_loss = deviance(part, trial)
        better = trial_loss <= loss[active] + 1e-12 * np.abs(loss[active])
        moved = np.abs(trial - now).max(axis=0)
        theta[:, active[better]] = trial[:, better]
        loss[active[better]] = trial_loss[better]
        finished = (moved < 1e-10) | (damping[active] > 1e10)
        damping[active] = np.where(better, np.maximum(damping[active] * 0.1, 1e-14), damping[active] * 10)
        active = active[~finished]
    return theta, _inside(theta, arms=len(totals.shots), free=free)


def _scoring_step(totals: Totals, theta: Real, damping: Real) -> Real:
    c = curvature(totals, theta, damping)
    pull = c.weight * c.residual
    along = c.signal * pull
    score = [along.sum(axis=(0, 1))[None], -c.rate * (totals.lengths @ along)]
    if totals.asymptote is None:
        score.append(pull.sum(axis=(0, 1))[None])
    return np.asarray((c.covariance * np.concatenate(score)).sum(axis=1))


def _grid_start(totals: Totals) -> Real:
    """Parameters from a grid over decay rates, arm by arm, with A (and B) solved linearly and then averaged over the arms."""
    m, t, x = totals.lengths, totals.shots, totals.survived
    grid = np.geomspace(_SLOWEST / max(float(m[-1]), 1.0), 5.0, 80)
    shape = np.exp(-grid[:, None] * m)  # (R, L)
    y = x / np.maximum(t, 1) - (totals.asymptote or 0.0)
    s1, s2, z0, z1 = shape @ t, shape**2 @ t, (t * y).sum(axis=1, keepdims=True), shape @ (t * y)  # (G, R, n)
    if totals.asymptote is None:
        s0 = np.maximum(t.sum(axis=1, keepdims=True), 1)
        amp = np.clip((s0 * z1 - s1 * z0) / np.maximum(s0 * s2 - s1**2, 1e-9 * s0 * s2 + 1e-300), 1e-3, 1.0)
        floor = np.clip((z0 - amp * s1) / s0, 0.0, 0.9)
    else:
        amp, floor = np.clip(z1 / np.maximum(s2, 1e-300), 1e-3, 1.0), np.zeros_like(z1)
    loss = amp**2 * s2 - 2 * amp * (z1 - floor * s1) + floor**2 * t.sum(axis=1, keepdims=True) - 2 * floor * z0
    best = loss.argmin(axis=1)[:, None]
    log_a = np.log(np.take_along_axis(amp, best, axis=1)[:, 0].mean(axis=0))
    theta = [log_a[None], np.log(grid[best[:, 0]])]
    if totals.asymptote is None:
        theta.append(np.take_along_axis(floor, best, axis=1)[:, 0].mean(axis=0)[None])
    return np.concatenate(theta)

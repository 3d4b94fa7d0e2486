"""Alarm charts that need no learning phase: every night is held against the nights before it, and small differences of one sign add up.

The scores of nights without drift are standard normal and independent, whatever the level and the scatter of a series are, so that one
threshold with a stated chance of a false alarm serves all series.
"""

import functools

import numpy as np
import numpy.typing as npt

from qthreshold.numerics import special
from qthreshold.numerics.drift import evened_errors, log_noise

__all__ = ["REFERENCE", "cusum", "false_alarm_chance", "self_starting_scores", "threshold"]

Real = npt.NDArray[np.float64]

REFERENCE = 0.5
"""What a score must exceed to count, in standard deviations: half of the lasting shift that the chart finds soonest (Page)."""

_LARGEST = 4.0  # score that any night gets at most: one night that is off by whatever does not make an alarm by itself
_STATES = 120  # of the Markov chain
_MEMORY = 2.0  # the chart stops at this many thresholds, so that an alarm ends soon after its cause


def self_starting_scores(values: npt.ArrayLike, errors: npt.ArrayLike, dof: npt.ArrayLike = np.inf) -> Real:
    """How far each value lies from those before it, as standard normal scores.

    For values that are equally precise, this is Hawkins' chart: a value less the mean of the n before it, over their standard deviation s and
    sqrt(1 + 1/n), follows Student's t with n - 1 degrees of freedom, and its normal score is independent of all scores before. The stated
    errors enter in three ways. Nights are weighted by ``1 / (error**2 + excess)``. The excess variance, by DerSimonian and Laird from the nights
    before, is not below 0, so that s is not below what the stated errors say. The error of the new night counts in its own prediction. As the
    second makes t smaller or leaves it as it is, and the degrees of freedom stay n - 1, scores are standard normal or narrower: where a
    device scatters no more than its measurement, alarms are rarer than stated.

    Args:
        values: Series of nights, ``(S, K)``; NaN where there is no value: such a night has no score and counts for no other.
        errors: Standard errors, ``(S, K)`` or broadcastable.
        dof: Degrees of freedom behind them, the same.

    Returns:
        Scores, ``(S, K)``; NaN without a value and before there are two others; at most 4 either way.

    References:
        D. M. Hawkins, The Statistician 36, 299 (1987), eqs. 1 to 3. D. M. Hawkins, D. H. Olwell, Cumulative Sum Charts and Charting for
        Quality Improvement (Springer, 1998), chapters 7 (self-starting) and 3.6 (winsorizing). R. DerSimonian, N. Laird, Controlled Clinical
        Trials 7, 177 (1986).

    Example:
        >>> self_starting_scores([[1.0, 1.2, 0.8, 1.0, 3.0]], 0.1).round(2).tolist()
        [[nan, nan, -0.97, 0.0, 3.15]]
    """
    x, e, noise = np.broadcast_arrays(np.asarray(values, dtype=float), np.asarray(errors, dtype=float), log_noise(dof))
    seen = np.isfinite(x) & np.isfinite(e)
    x = np.where(seen, x, 0.0)
    out = np.full(x.shape, np.nan)
    count = np.cumsum(seen, axis=1) - seen  # nights before
    for k in range(x.shape[1]):
        rows = np.flatnonzero(seen[:, k] & (count[:, k] >= 2))
        if rows.size:
            out[rows, k] = _score(x[rows, : k + 1], e[rows, : k + 1], noise[rows, : k + 1], seen[rows, : k + 1])
    return out


def _score(x: Real, errors: Real, noise: Real, seen: npt.NDArray[np.bool_]) -> Real:
    """Score of the last column against those before it, ``(R,)``."""
    s2 = evened_errors(np.where(seen, x, np.nan), errors, noise) ** 2
    before, n = seen[:, :-1], seen[:, :-1].sum(axis=1)
    plain = x[:, :-1] - (np.where(before, x[:, :-1], 0.0).sum(axis=1) / n)[:, None]
    spread = np.where(before, plain**2, 0.0).sum(axis=1) / n
    least = np.maximum(1e-12 * spread, (1e-12 * np.abs(x).max(axis=1)) ** 2 + 1e-60)
    s2 = np.maximum(s2, least[:, None])  # an error of 0 cannot be divided by
    w = np.where(before, 1 / np.where(before, s2[:, :-1], 1.0), 0.0)
    total = w.sum(axis=1)
    mean = (w * plain).sum(axis=1) / total
    q = (w * (plain - mean[:, None]) ** 2).sum(axis=1)
    excess = np.maximum(0.0, (q - (n - 1)) / (total - (w**2).sum(axis=1) / total))
    w = np.where(before, 1 / (np.where(before, s2[:, :-1], 1.0) + excess[:, None]), 0.0)
    total = w.sum(axis=1)
    away = x[:, -1] - x[:, :-1].sum(axis=1) / n - (w * plain).sum(axis=1) / total
    t = away / np.sqrt(s2[:, -1] + excess + 1 / total)
    return np.asarray(np.sign(t) * np.minimum(-special.ndtri(special.stdtr(n - 1, -np.abs(t))), _LARGEST)) + 0.0


def cusum(scores: npt.ArrayLike, h: float, reference: float = REFERENCE) -> tuple[Real, Real]:
    """One-sided cumulative sums, upwards and downwards; an alarm is a value of ``h`` or more.

    Args:
        scores: ``(S, K)``; NaN for a night that leaves the chart as it was.
        h: Threshold; the sums stop at twice it.
        reference: What a score must exceed to count.

    Returns:
        Both charts, ``(S, K)``.

    References:
        E. S. Page, Biometrika 41, 100 (1954), section 4.

    Example:
        >>> up, down = cusum([[1.0, 2.0, float("nan"), -3.0]], 5.0)
        >>> up.tolist(), down.tolist()
        ([[0.5, 2.0, 2.0, 0.0]], [[0.0, 0.0, 0.0, 2.5]])
    """
    u = np.asarray(scores, dtype=float)
    out = np.zeros((2, *u.shape))
    chart = np.zeros((2, len(u)))
    for k in range(u.shape[1]):
        step = np.stack([u[:, k], -u[:, k]]) - reference
        chart = np.where(np.isnan(step), chart, np.clip(chart + step, 0.0, _MEMORY * h))
        out[:, :, k] = chart
    return out[0], out[1]


@functools.lru_cache(maxsize=256)
def threshold(chance: float, window: int, reference: float = REFERENCE) -> float:
    """The h at which a one-sided chart of standard normal scores alarms within ``window`` nights with a stated chance.

    Args:
        chance: That it alarms at least once, between 0 and 1.
        window: Nights, from a start at 0. In very few, chances below that of a score at its limit are reached by no alarm at all.
        reference: As in :func:`cusum`.

    Raises:
        ValueError: A chance that is not one, or no night.

    Example:
        >>> round(threshold(0.05, 30), 2)
        4.38
    """
    if not 0 < chance < 1 or window < 1:
        raise ValueError(f"a chance between 0 and 1 and at least one night are needed, got {chance} and {window}")
    low, high = 0.0, 4.0
    while false_alarm_chance(high, window, reference) > chance:
        low, high = high, 2 * high
    f_low, f_high = _excess(low, chance, window, reference), _excess(high, chance, window, reference)
    if f_low <= 0:
        return low
    reached = f_high  # that of ``high``
    while high - low > 1e-9 and reached < -1e-6:  # the logarithm is almost straight in h: regula falsi, halved where one end stays (Illinois)
        middle = (low * f_high - high * f_low) / (f_high - f_low)
        f = _excess(middle, chance, window, reference)
        if f > 0:
            low, f_low, f_high = middle, f, f_high / 2
        else:
            high, f_high, reached, f_low = middle, f, f, f_low / 2
    return float(high)


def _excess(h: float, chance: float, window: int, reference: float) -> float:
    """Logarithm of the chance of an alarm over the one that is wanted."""
    return float(np.log(max(false_alarm_chance(h, window, reference), 1e-3 * chance) / chance))


def false_alarm_chance(h: float, window: int, reference: float = REFERENCE) -> float:
    """Chance that a one-sided chart of standard normal scores reaches ``h`` within ``window`` nights, by a Markov chain.

    Args:
        h: Threshold, at least 0.
        window: Nights, from a start at 0.
        reference: As in :func:`cusum`.

    References:
        D. Brook, D. A. Evans, Biometrika 59, 539 (1972), section 2: the chart in steps of equal width, of which the first is the one about 0.

    Example:
        >>> round(false_alarm_chance(0.0, 1), 4)  # the score exceeds the reference of 0.5
        0.3085
    """
    width = 2 * h / (2 * _STATES - 1)
    at = width * np.arange(_STATES)
    edges = np.append(at + width / 2, -np.inf)  # upper edges; the last is the lower one of the first state
    below = np.where(edges[:_STATES, None] - at + reference < _LARGEST, special.ndtr(edges[:_STATES, None] - at + reference), 1.0)
    step = np.diff(below, axis=0, prepend=0.0)  # column: from, row: to
    state = np.zeros(_STATES)
    state[0] = 1.0
    alarms = 0.0
    over = 1 - below[-1]
    for _ in range(window):
        alarms += float(over @ state)
        state = step @ state
    return alarms

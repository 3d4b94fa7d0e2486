"""Trends and steps in a number that was measured again and again.

Every value has a standard error of its own, which says how well it was measured. What the device itself does from night to night comes on top
and is not known beforehand. Throughout, the variance of a value is taken as ``errors**2 + excess``, with one excess for all nights, estimated
from the scatter and never below 0: the device does not scatter less because it is measured worse, which a common factor on all errors
(Birge's ratio) would say. Scatter below the stated errors is chance, and narrows nothing.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from qthreshold.numerics import special
from qthreshold.numerics.intervals import satterthwaite, student_t

__all__ = ["ChangePoints", "Trend", "change_points", "evened_errors", "linear_trend", "log_noise"]

Real = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_SHORTEST = 2  # nights that a level lasts at least: one bad night is no step
_TINY = 1e-12  # share of the scatter that stands for an error of 0


@dataclass(frozen=True, slots=True, eq=False)
class Trend:
    """A straight line through values.

    Attributes:
        slope, low, high: Change in a unit of time, with its interval; NaN with fewer than 3 points.
        centre, value: Weighted means of times and values: a point on the line, whose error is independent of the slope's.
        error, value_error: Standard errors of slope and value.
        half_width: Quantile behind the interval, in standard errors.
    """

    slope: float
    low: float
    high: float
    centre: float
    value: float
    error: float
    value_error: float
    half_width: float

    def band(self, times: npt.ArrayLike) -> tuple[Real, Real, Real]:
        """The line and the ends of its band, in the shape of ``times``."""
        away = np.asarray(times, dtype=float) - self.centre
        line, half = self.value + self.slope * away, self.half_width * np.hypot(self.value_error, self.error * away)
        return line, line - half, line + half


def linear_trend(times: npt.ArrayLike, values: npt.ArrayLike, errors: npt.ArrayLike, dof: npt.ArrayLike, level: float) -> Trend:
    """Weighted least squares line. Scatter beyond the stated errors widens the interval.

    The excess variance is that of the method of moments for regression (Thompson and Sharp, eq. 7), which is DerSimonian's and Laird's for a
    constant; the variance of the slope is multiplied by the weighted mean square of the residuals where that is above 1 (Knapp and Hartung,
    in the version that never narrows). Student's t has the degrees of freedom of the residuals or of the stated errors, whichever are fewer:
    with few nights it is not known whether the device scatters.

    Args:
        times: When, ``(K,)``.
        values: What was found, ``(K,)``; NaN where nothing was, which is left out.
        errors: Standard errors, ``(K,)``, or one for all.
        dof: Degrees of freedom behind each error, the same.
        level: Confidence level.

    References:
        S. G. Thompson, S. J. Sharp, Statistics in Medicine 18, 2693 (1999). G. Knapp, J. Hartung, Statistics in Medicine 22, 2693 (2003).
        C. Roever, G. Knapp, T. Friede, BMC Medical Research Methodology 15, 99 (2015), section 2 (never narrower).

    Example:
        >>> trend = linear_trend([0, 1, 2, 3], [1.0, 1.2, 1.4, 1.6], 0.1, 10, 0.95)
        >>> round(trend.slope, 6), round(trend.value, 6)
        (0.2, 1.3)
    """
    t, x, e, nu = _known(values, times, values, errors, dof)
    if len(x) < 3 or np.ptp(t) == 0:
        return Trend(*[np.nan] * 8)
    s2 = _floored(evened_errors(x, e, log_noise(nu)) ** 2, x)
    w = 1 / s2
    design = np.stack([np.ones_like(t), (t - t.mean()) / np.ptp(t)], axis=1)
    inverse = np.linalg.inv((design.T * w) @ design)
    residual = x - design @ (inverse @ ((design.T * w) @ x))
    freedom = len(x) - 2
    expected = w.sum() - np.trace(inverse @ ((design.T * w**2) @ design))
    excess = max(0.0, (float(w @ residual**2) - freedom) / expected)
    w = 1 / (s2 + excess)
    centre, value = float(w @ t / w.sum()), float(w @ x / w.sum())
    lever = w * (t - centre)
    slope = float(lever @ x / (lever @ (t - centre)))
    residual = x - value - slope * (t - centre)
    scale = max(1.0, float(w @ residual**2) / freedom)
    error = float(np.sqrt(scale / (lever @ (t - centre))))
    stated = float(satterthwaite((lever**2) * s2, nu))
    half = float(student_t(max(1.0, min(freedom, stated)), level))
    return Trend(slope, slope - half * error, slope + half * error, centre, value, error, float(np.sqrt(scale / w.sum())), half)


def log_noise(dof: npt.ArrayLike) -> Real:
    """Variance of the logarithm of an estimated variance: the trigamma function of half its degrees of freedom, at least 1."""
    return np.asarray(special.polygamma(1, np.clip(np.asarray(dof, dtype=float), 1, 1e9) / 2))


def evened_errors(values: npt.ArrayLike, errors: npt.ArrayLike, noise: npt.ArrayLike) -> Real:
    """Standard errors without what is chance in them.

    A standard error from few sequences scatters by itself, and small values tend to come with small errors; weights made from such errors pull
    every mean down. Logarithms of the variances are therefore drawn to their mean as far as their spread can be chance (James and Stein): by
    the noise of the logarithms themselves, and by the variance of the value itself, since an error grows with its value at
    most in proportion. Nights that were measured much better than others keep their errors.

    Args:
        values: Estimates, ``(..., K)``; NaN where there is none.
        errors: Their standard errors, the same.
        noise: :func:`log_noise` of the degrees of freedom behind each, the same.

    Returns:
        Shape ``(..., K)``; as given where an error is 0 or NaN.

    References:
        G. K. Smyth, Statistical Applications in Genetics and Molecular Biology 3, article 3 (2004), section 6.1 (the logarithm's variance).
        B. Efron, C. Morris, Journal of the American Statistical Association 70, 311 (1975).

    Example:
        >>> evened_errors([1.0, 1.0, 1.0], [0.1, 0.11, 0.09], log_noise(10)).round(4).tolist()
        [0.0997, 0.0997, 0.0997]
        >>> evened_errors([1.0, 1.0, 1.0], [0.1, 0.1, 0.001], log_noise(100)).round(4).tolist()
        [0.0997, 0.0997, 0.001]
    """
    x, s, own = np.broadcast_arrays(*(np.asarray(v, dtype=float) for v in (values, errors, noise)))
    usable = np.isfinite(x) & (s > 0) & np.isfinite(s)
    count = np.maximum(usable.sum(axis=-1, keepdims=True), 1)

    def mean(v: Real) -> Real:
        return np.asarray(np.where(usable, v, 0.0).sum(axis=-1, keepdims=True) / count)

    log = np.log(np.where(usable, s, 1.0) ** 2)
    size = mean(np.abs(np.where(usable, x, 0.0))) ** 2
    relative = np.minimum(1.0, mean(_squares(s, usable)) / np.where(size > 0, size, 1e-300))
    chance = own + 4 * relative
    middle = mean(log)
    real = np.maximum(0.0, mean((log - middle) ** 2) * count / np.maximum(count - 1, 1) - mean(chance))
    kept = real / np.maximum(real + chance, 1e-300)
    return np.where(usable, np.exp((middle + kept * (log - middle)) / 2), s)


def _squares(errors: Real, usable: npt.NDArray[np.bool_]) -> Real:
    """Squares of the usable errors, 0 elsewhere."""
    return np.asarray(np.where(usable, errors, 0.0) ** 2)


@dataclass(frozen=True, slots=True, eq=False)
class ChangePoints:
    """Steps of a level, in order.

    Attributes:
        index: First night of each new level, ``(J,)``.
        first, last: Interval of that night, both ends included, ``(J,)``.
        before: Level before each step, ``(J,)``.
        size, low, high: Height of each step and its interval, ``(J,)``.
        p_value: Chance of a step as clear as this anywhere in a series without steps, at most, ``(J,)``.
    """

    index: Ints
    first: Ints
    last: Ints
    before: Real
    size: Real
    low: Real
    high: Real
    p_value: Real


def change_points(
    values: npt.ArrayLike, errors: npt.ArrayLike, chance: float, *, dof: npt.ArrayLike = np.inf, level: float = 0.95
) -> ChangePoints:  # fmt: skip
    """Where the level steps, by binary segmentation: the clearest step first, then the parts on either side of it.

    Where there is none, a spell of other values that ends again is looked for, which a search for single steps passes over. Two means are compared by
    Student's t with the scatter within the parts, as Worsley does, and by t with the scatter of neighbouring nights (von Neumann's mean square
    successive difference), which further steps in the same part hardly widen. The scatter is never taken below the stated errors. The
    p-value is the smaller of both, times 4 for the choice of scatter and of kind (step or spell), times the number of places where a change of
    its kind may be in the whole series (Bonferroni). Parts without a step have no more places than that together, so ``chance`` bounds the
    chance that a change is found within a part that has none. Every step is then placed and tested once more between its neighbours.
    Values are taken to be independent and normal.

    Args:
        values: ``(K,)``; NaN where there is none, which is left out.
        errors: Standard errors, ``(K,)``, or one for all.
        chance: Of a false step.
        dof: Degrees of freedom behind the errors.
        level: Confidence level of the intervals. That of the night holds the nights whose likelihood is no more than ``1 / (1 - sqrt(level))``
            times lower: to either side the likelihood ratio is a martingale, which exceeds ``1 / u`` with chance u at most.

    References:
        K. J. Worsley, Journal of the American Statistical Association 74, 365 (1979), sections 2 and 4 (statistic, Bonferroni bound).
        J. von Neumann, Annals of Mathematical Statistics 12, 367 (1941). A. B. Olshen et al., Biostatistics 5, 557 (2004) (spells).
        D. Siegmund, International Statistical Review 56, 31 (1988) (likelihood sets for the night).

    Example:
        >>> found = change_points([1.0, 1.1, 0.9, 1.0, 2.0, 2.1, 1.9, 2.0], 0.1, 0.01)
        >>> found.index.tolist(), round(float(found.size[0]), 3)
        ([4], 1.0)
    """
    place, x, e, nu = _known(values, np.arange(np.size(values)), values, errors, dof)
    parts = _Parts.of(x, e, nu)
    steps: list[int] = []
    left = [(0, len(x))]
    while left:
        start, end = left.pop()
        ends, p = parts.best_step(start, end)
        if p > chance:
            ends, p = parts.best_spell(start, end)
        if p <= chance:
            steps += ends
            left += pairwise([start, *ends, end])
    steps, p_values = _settled(parts, sorted(set(steps)), len(x), chance)
    rows = [[*parts.describe(*_around(steps, i, len(x)), step, level), p_values[i]] for i, step in enumerate(steps)]
    columns = np.array(rows, dtype=float).reshape(-1, 8).T
    index, first, last = (place[c.astype(int)].astype(np.int64) for c in columns[:3])
    return ChangePoints(index, first, last, *columns[3:])


def _around(steps: list[int], i: int, size: int) -> tuple[int, int]:
    """The steps before and after a step, or the ends of the series."""
    return steps[i - 1] if i else 0, steps[i + 1] if i + 1 < len(steps) else size


def _settled(parts: "_Parts", steps: list[int], size: int, chance: float) -> tuple[list[int], list[float]]:
    """Steps at their best places between their neighbours, without those that do not stand there, and their p-values."""
    for i in range(len(steps)):
        steps[i] = parts.best_step(*_around(steps, i, size))[0][0]
    p = [parts.best_step(*_around(steps, i, size))[1] for i in range(len(steps))]
    while steps and max(p) > chance:
        worst = int(np.argmax(p))
        del steps[worst], p[worst]
        for i in range(max(worst - 1, 0), min(worst + 1, len(steps))):
            (steps[i],), p[i] = parts.best_step(*_around(steps, i, size))
    return steps, p


@dataclass(frozen=True, slots=True, eq=False)
class _Parts:
    """Running sums of K values, from which any part of them is judged: weights, and values with them, ``(K + 1,)`` each.

    ``floor``: share of a value's assumed variance that its stated error makes up, on average; ``freedom``: of the scatter of neighbours.
    """

    values: Real
    w: Real
    wx: Real
    wxx: Real
    floor: float
    freedom: float

    @classmethod
    def of(cls, x: Real, errors: Real, dof: Real) -> "_Parts":
        n = len(x)
        s2 = _floored(evened_errors(x, errors, log_noise(dof)) ** 2, x)
        excess = 0.0
        if n > 1:
            pair = s2[1:] + s2[:-1]
            excess = max(0.0, float(((np.diff(x) ** 2 - pair) / 2 / pair**2).sum() / (1 / pair**2).sum()))
        w = 1 / (s2 + excess)
        y = x - (w @ x / w.sum() if n else 0.0)
        w0, w1, w2 = (np.concatenate([[0.0], np.cumsum(v)]) for v in (w, w * y, w * y**2))
        freedom = 2 * (n - 1) ** 2 / (3 * n - 4) if n > 2 else 1.0
        return cls(x, w0, w1, w2, float((s2 * w).mean()) if n else 1.0, freedom)

    def between(self, start: int, end: int, first: Ints, last: Ints) -> Real:
        """Standardised difference of the mean of ``first`` to ``last`` (not included) and the mean of what else lies in a part."""
        a, ax = self.w[last] - self.w[first], self.wx[last] - self.wx[first]
        total, sum_ = self.w[end] - self.w[start], self.wx[end] - self.wx[start]
        b = np.maximum(total - a, 1e-300)
        return np.asarray((ax / a - (sum_ - ax) / b) * np.sqrt(a * b / total))

    def within(self, start: int, end: int, z: float) -> float:
        """Mean square of the scatter within the two, in units of the assumed variance; never below the stated errors."""
        total = self.wxx[end] - self.wxx[start] - (self.wx[end] - self.wx[start]) ** 2 / (self.w[end] - self.w[start])
        return max(float(total - z**2) / max(end - start - 2, 1), self.floor)

    def p_value(self, start: int, end: int, z: float, places: int) -> float:
        """Chance of a difference like this at any of so many places, at most."""
        t = z / np.sqrt(self.within(start, end, z))
        tail = min(float(special.stdtr(end - start - 2, -t)), float(special.stdtr(self.freedom, -z)))
        return min(1.0, 4 * 2 * tail * places)

    def best_step(self, start: int, end: int) -> tuple[list[int], float]:
        """The clearest step in a part, and its p-value."""
        at = np.arange(start + _SHORTEST, end - _SHORTEST + 1)
        if not at.size:
            return [start], np.inf
        z = np.abs(self.between(start, end, np.full_like(at, start), at))
        best = int(z.argmax())
        return [int(at[best])], self.p_value(start, end, float(z[best]), len(self.values) - 1)

    def best_spell(self, start: int, end: int) -> tuple[list[int], float]:
        """The clearest spell in a part, of lengths that grow by halves, and its p-value."""
        best, most, size = [start], -1.0, len(self.values)
        for length in _lengths(end - start):
            at = np.arange(start + _SHORTEST, end - _SHORTEST - length + 1)
            if at.size:
                z = np.abs(self.between(start, end, at, at + length))
                k = int(z.argmax())
                if z[k] > most:
                    best, most = [int(at[k]), int(at[k]) + length], float(z[k])
        places = sum(max(size - length - 2 * _SHORTEST + 1, 0) for length in _lengths(size))
        return best, self.p_value(start, end, most, places) if most >= 0 else np.inf

    def describe(self, start: int, end: int, step: int, level: float) -> list[float]:
        """Where and how large a step is, between its neighbours: the columns of :class:`ChangePoints` but the last."""
        at = np.arange(start + 1, end)
        z = np.abs(self.between(start, end, np.full_like(at, start), at))
        top = float(z[step - start - 1])
        scale = self.within(start, end, top)
        near = at[(top**2 - z**2) / (2 * scale) <= -np.log(1 - np.sqrt(level))]
        a, b = self.w[step] - self.w[start], self.w[end] - self.w[step]
        weights = np.diff(self.w)
        before = float(weights[start:step] @ self.values[start:step] / a)
        size = float(weights[step:end] @ self.values[step:end] / b) - before
        half = float(student_t(max(end - start - 2, 1), level)) * float(np.sqrt(scale * (1 / a + 1 / b)))
        return [step, int(near.min()), int(near.max()), before, size, size - half, size + half]


def _lengths(size: int) -> list[int]:
    """Lengths of spells that are looked for in a part: from 2 nights on, each half as long again."""
    out = [_SHORTEST]
    while out[-1] * 3 // 2 <= size - 2 * _SHORTEST:
        out.append(out[-1] * 3 // 2)
    return out if size >= 3 * _SHORTEST else []


def _known(values: npt.ArrayLike, *columns: npt.ArrayLike) -> list[Real]:
    """Columns without the rows whose value is not known."""
    x = np.asarray(values, dtype=float)
    wide = [np.broadcast_to(np.asarray(c, dtype=float), x.shape) for c in columns]
    seen = np.isfinite(x) & np.isfinite(wide[-2])
    return [c[seen] for c in wide]


def _floored(variances: Real, values: Real) -> Real:
    """Variances that are not 0, so that they can be divided by."""
    if not len(values):
        return variances
    least = _TINY * (float(values.var()) + float(variances.mean())) or (_TINY * float(np.abs(values).max() or 1.0)) ** 2
    return np.maximum(variances, least)

"""The only place where intervals are made: quantiles, exact limits, degrees of freedom, means of finite sets, bootstrap.

Functions return plain arrays; records wrap them as ``Interval``.
"""

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.polynomial import chebyshev

from qthreshold.numerics import special

__all__ = [
    "bootstrap_interval",
    "clopper_pearson",
    "mean_of_dependent",
    "mean_of_finite_set",
    "normal_half_width",
    "normal_quantiles",
    "poisson_upper",
    "probability_above",
    "quantile_interval",
    "satterthwaite",
    "student_t",
]

Real = npt.NDArray[np.float64]


def student_t(dof: npt.ArrayLike, level: float) -> Real:
    """Two-sided Student t quantile: half-width in standard errors at confidence ``level``; shape of ``dof``, which is at least 1.

    The quantile is smooth in 1/dof, so one Chebyshev series for each level replaces an inversion for each value; it agrees with
    the inversion to 1e-9.
    """
    x = 2 / np.maximum(np.asarray(dof, dtype=float), 1.0) - 1
    return np.asarray(np.exp(chebyshev.chebval(x, _log_t_series(float(level)))))


@functools.lru_cache(maxsize=64)
def _log_t_series(level: float) -> Real:
    """Chebyshev coefficients of log t as a function of 2/dof - 1."""

    def log_t(x: Any) -> Any:
        return np.log(special.stdtrit(2 / np.maximum(x + 1, 2e-9), (1 + level) / 2))

    return np.asarray(chebyshev.chebinterpolate(log_t, 28))


def normal_quantiles(size: int) -> Real:
    """Standard normal quantiles at ``size`` equally likely points."""
    return np.asarray(special.ndtri((np.arange(size) + 0.5) / size), dtype=float)


def normal_half_width(level: float) -> float:
    """Half-width of a two-sided normal interval in standard errors."""
    return float(special.ndtri((1 + level) / 2))


def satterthwaite(variances: npt.ArrayLike, dofs: npt.ArrayLike) -> Real:
    """Degrees of freedom of a sum of independent variance estimates (last axis).

    Satterthwaite's nu = (sum sigma^2)^2 / sum(sigma^4 / d), with (sum v)^2 / sum(v^2 / (d + 1)) - 1 for the unknown sigma. Plain v, as he
    proposed, makes nu too small (95 % intervals from three groups of three cover up to 96.7 %); unbiased estimates of sigma^4, which are
    (d + 2) and -2 here, make it too large (down to 93 %); half way between they cover 93.7 to 95.7 %, and ever closer with more.

    Args:
        variances: Estimated variances v, shape ``(..., V)``.
        dofs: Degrees of freedom d behind each, broadcastable; entries with zero variance do not matter.

    Returns:
        Shape ``(...)``, infinite where all variances vanish.

    References:
        F. E. Satterthwaite, Biometrics Bulletin 2, 110 (1946).
    """
    v, d = np.broadcast_arrays(np.asarray(variances, dtype=float), np.asarray(dofs, dtype=float))
    with np.errstate(divide="ignore", invalid="ignore"):
        out = v.sum(axis=-1) ** 2 / np.where(v > 0, v**2 / (d + 1), 0.0).sum(axis=-1) - 1
    return np.where(np.isnan(out), np.inf, out)


def clopper_pearson(successes: npt.ArrayLike, trials: npt.ArrayLike, level: float) -> tuple[Real, Real, Real]:
    """Exact binomial interval: best, low, high; NaN without trials.

    References:
        C. J. Clopper, E. S. Pearson, Biometrika 26, 404 (1934).

    Example:
        >>> best, low, high = clopper_pearson(0, 100, 0.95)
        >>> float(low), round(float(high), 4)
        (0.0, 0.0362)
    """
    x, n = np.broadcast_arrays(np.asarray(successes, dtype=float), np.asarray(trials, dtype=float))
    tail = (1 - level) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        low = np.where(x > 0, special.betaincinv(np.maximum(x, 1e-300), n - x + 1, tail), 0.0)
        high = np.where(x < n, special.betaincinv(x + 1, np.maximum(n - x, 1e-300), 1 - tail), 1.0)
        best = x / n
    blank = n <= 0
    return tuple(np.where(blank, np.nan, v) for v in (best, low, high))  # type: ignore[return-value]


def poisson_upper(seen: npt.ArrayLike, level: float) -> Real:
    """Upper end of the exact two-sided interval of a Poisson mean, in the shape of ``seen``, which may be a fraction.

    References:
        F. Garwood, Biometrika 28, 437 (1936).

    Example:
        >>> poisson_upper([0, 10], 0.95).round(3).tolist()
        [3.689, 18.39]
    """
    return np.asarray(special.gammaincinv(np.asarray(seen, dtype=float) + 1, (1 + level) / 2))


def mean_of_finite_set(
    values: npt.ArrayLike, errors: npt.ArrayLike, dofs: npt.ArrayLike, size: int, level: float
) -> tuple[float, float, float, float]:
    """Mean over a finite set of which ``values`` were measured: each with its own error, the rest not at all.

    The variance has two parts: measurement, sum(se^2) / m^2 over the m measured members, and, if m < size, the
    members left out, (1 - m/size) s^2 / m with s^2 the spread of the true values (spread of the estimates less their
    measurement variance). A fully measured set has no second part: its members are not a sample of anything.

    Args:
        values: Estimates, shape ``(m,)``, no NaN.
        errors: Standard errors, shape ``(m,)``.
        dofs: Degrees of freedom of the errors, shape ``(m,)``.
        size: Number of members of the whole set, at least m.
        level: Confidence level.

    Returns:
        best, low, high and the standard error; NaN when nothing was measured.

    References:
        W. G. Cochran, Sampling Techniques, 3rd ed., sections 2.6 and 13.9 (finite population correction, measurement error).
    """
    x, se, dof = (np.asarray(v, dtype=float) for v in (values, errors, dofs))
    m = x.size
    if m == 0:
        return (np.nan,) * 4
    if size < m:
        raise ValueError(f"{m} members measured of a set of {size}")
    own = se**2 / m**2
    spread = max(x.var(ddof=1) - float(np.mean(se**2)), 0.0) if m > 1 else np.inf
    missing = (1 - m / size) * spread / m if size > m else 0.0
    error = float(np.sqrt(own.sum() + missing))
    freedom = satterthwaite(np.append(own, missing), np.append(dof, max(m - 1, 1)))
    half = float(student_t(freedom, level)) * error
    best = float(x.mean())
    return best, best - half, best + half, error


def mean_of_dependent(values: npt.ArrayLike, errors: npt.ArrayLike, dofs: npt.ArrayLike, level: float) -> Real:
    """Mean over the first axis of estimates that may depend on each other in any way: best, low, high, shape ``(..., 3)``.

    Standard errors are averaged, as if the estimates were fully correlated: no dependence makes the mean worse than that.

    Args:
        values: Estimates, ``(H, ...)``.
        errors: Standard errors, ``(H, ...)``.
        dofs: Degrees of freedom behind each, ``(H, ...)``; the fewest count.
        level: Confidence level.
    """
    best = np.mean(np.asarray(values, dtype=float), axis=0)
    half = student_t(np.min(np.asarray(dofs, dtype=float), axis=0), level) * np.mean(np.asarray(errors, dtype=float), axis=0)
    return np.stack([best, best - half, best + half], axis=-1)


def probability_above(estimate: float, error: float, dof: float) -> float:
    """Probability that what was estimated is 0 or more, by Student's t; 0 or 1 where the error vanishes.

    Example:
        >>> probability_above(0.0, 1.0, 5.0), probability_above(1e-9, 0.0, np.inf)
        (0.5, 1.0)
    """
    if error == 0 or np.isinf(estimate):
        return float(estimate >= 0)
    return float(special.stdtr(min(dof, 1e9), estimate / error))


def bootstrap_interval(best: npt.ArrayLike, draws: npt.ArrayLike, dofs: npt.ArrayLike, level: float) -> tuple[Real, Real, Real]:
    """Interval from the spread of bootstrap replicates and a Student t quantile: low, high and the standard error, shape ``(...)``.

    Percentiles of the replicates are too narrow with few sequences, because they are a normal interval at best. The spread is half
    the distance of the 15.9 and 84.1 % points, which a few wild replicates do not move.

    Args:
        best: Estimates from the data themselves, shape ``(...)``.
        draws: Replicates, ``(R, ...)``; NaN where one could not be fitted, and the interval is NaN where none could.
        dofs: Degrees of freedom behind the spread, ``(...)``.
        level: Confidence level.

    References:
        B. Efron, R. J. Tibshirani, An Introduction to the Bootstrap, sections 12.4 and 13.3.
    """
    x = np.asarray(draws, dtype=float)
    lost = np.isnan(x).all(axis=0)
    low, high = (np.nanquantile(np.where(lost, 0.0, x), q, axis=0) for q in special.ndtr(np.array([-1.0, 1.0])))
    error = np.where(lost, np.nan, (high - low) / 2)
    half, centre = student_t(dofs, level) * error, np.asarray(best, dtype=float)
    return centre - half, centre + half, error


def quantile_interval(draws: npt.ArrayLike, level: float) -> tuple[float, float, float]:
    """Median and equal-tailed interval of draws, NaNs left out; NaN when no draw is a number."""
    x = np.asarray(draws, dtype=float)
    x = x[~np.isnan(x)]
    if x.size == 0:
        return (np.nan,) * 3
    low, best, high = np.quantile(x, [(1 - level) / 2, 0.5, (1 + level) / 2])
    return float(best), float(low), float(high)

"""One-sided tests between estimates that carry their own uncertainty, and the control of false discoveries among many."""

import numpy as np
import numpy.typing as npt
from scipy import special

from qthreshold.numerics.intervals import satterthwaite

__all__ = ["false_discovery_rate", "mean_of_repeats", "probability_of_excess"]

Real = npt.NDArray[np.float64]


def probability_of_excess(excess: npt.ArrayLike, error: npt.ArrayLike, dof: npt.ArrayLike) -> Real:
    """One-sided p-value of Student's t-test that what was estimated is not above 0; NaN stays NaN, and without an error it is 0 or 1.

    Args:
        excess: Estimates, any shape.
        error: Their standard errors, broadcastable.
        dof: Degrees of freedom behind the errors, broadcastable; infinite for a normal test.

    Example:
        >>> probability_of_excess([0.0, 1.96, 1.0], [1.0, 1.0, 0.0], np.inf).round(3).tolist()
        [0.5, 0.025, 0.0]
    """
    x, se, nu = np.broadcast_arrays(np.asarray(excess, dtype=float), np.asarray(error, dtype=float), np.asarray(dof, dtype=float))
    with np.errstate(divide="ignore", invalid="ignore"):
        p = special.stdtr(np.minimum(nu, 1e9), -x / se)
    return np.where(se > 0, p, np.where(np.isnan(x), np.nan, (x <= 0).astype(float)))


def mean_of_repeats(values: npt.ArrayLike, errors: npt.ArrayLike, dofs: npt.ArrayLike) -> tuple[Real, Real, Real, Real]:
    """What repeated measurements say of the next one: their mean, its variance, and the variance that comes from one time to the next.

    The scatter beyond the stated errors is estimated by moments: the variance of the values less their mean squared error, not below 0.
    A single measurement knows nothing of it.

    Args:
        values: Estimates, ``(N, ...)``; NaN where there is none.
        errors: Standard errors, the same.
        dofs: Degrees of freedom behind them, the same.

    Returns:
        Mean, variance of the mean, variance between times, and the degrees of freedom of both variances, ``(...)``; NaN without a value.

    References:
        R. DerSimonian, N. Laird, Controlled Clinical Trials 7, 177 (1986), equation 8 with equal weights.
    """
    x, se, nu = (np.asarray(a, dtype=float) for a in (values, errors, dofs))
    known = ~np.isnan(x)
    n = known.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(known, x, 0).sum(axis=0) / n
        stated = np.where(known, se**2, 0).sum(axis=0) / n
        seen = np.where(known, (x - mean) ** 2, 0).sum(axis=0) / np.maximum(n - 1, 1)
        between = np.where(n > 1, np.maximum(seen - stated, 0), 0.0)
        scatter = between > 0
        fitted = satterthwaite(np.moveaxis(np.where(known, se**2, 0), 0, -1), np.moveaxis(np.where(known, nu, np.inf), 0, -1))
    return mean, np.where(n > 0, (stated + between) / np.maximum(n, 1), np.nan), between, np.where(scatter, n - 1.0, fitted)


def false_discovery_rate(p_values: npt.ArrayLike) -> Real:
    """Adjusted p-values: of those at most q, a share of at most q is expected to be false. NaN stays NaN and does not count.

    References:
        Y. Benjamini, Y. Hochberg, J. R. Stat. Soc. B 57, 289 (1995); adjusted values as in D. Yekutieli, Y. Benjamini,
        J. Stat. Plan. Inference 82, 171 (1999), equation 3.

    Example:
        >>> false_discovery_rate([0.01, 0.04, 0.03, 0.5]).round(4).tolist()
        [0.04, 0.0533, 0.0533, 0.5]
    """
    p = np.asarray(p_values, dtype=float)
    out = np.full(p.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    scaled = p[order] * order.size / np.arange(1, order.size + 1)
    out[order] = np.minimum.accumulate(scaled[::-1])[::-1].clip(max=1.0)
    return out

"""One-sided tests between estimates that carry their own uncertainty, and the control of false discoveries among many."""

import numpy as np
import numpy.typing as npt
from scipy import special

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
    """Mean of repeated measurements, the variance of a single one about what it measures, and the degrees of freedom of that variance.

    Of several, the variance is that of their scatter, and never below what their errors say: its degrees of freedom are one less than
    there are of them, whichever is larger, since which is larger was decided by the scatter. Of a single one it is its own.

    Args:
        values: Estimates, ``(N, ...)``; NaN where there is none.
        errors: Standard errors, the same.
        dofs: Degrees of freedom behind them, the same.

    Returns:
        Mean, variance of one, degrees of freedom, and how many there are, ``(...)``; NaN and 0 without a value.
    """
    x, se, nu = (np.asarray(a, dtype=float) for a in (values, errors, dofs))
    known = ~np.isnan(x)
    n = known.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(known, x, 0).sum(axis=0) / n
        stated = np.where(known, se**2, 0).sum(axis=0) / n
        seen = np.where(known, (x - mean) ** 2, 0).sum(axis=0) / np.maximum(n - 1, 1)
    alone = np.where(known, nu, 0).sum(axis=0)
    return mean, np.where(n > 1, np.maximum(seen, stated), stated), np.where(n > 1, np.maximum(n - 1.0, 1.0), alone), n.astype(float)


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

"""One decay curve at a time with a generic optimiser: the twin of ``qthreshold.numerics.decay``.

Maximum likelihood of binomial counts with survival A p^m + B, arms sharing A (and B). Parameters are A and p themselves,
not their logarithms: a start from ``scipy.optimize.minimize``, then the likelihood equations solved by Newton steps.
"""

import numpy as np
from scipy.optimize import minimize


def _model(x, lengths, arms, asymptote):
    """Survival (arms, L) and its derivatives (arms, L, P); parameters A, p of each arm[, B]."""
    a, p = x[0], x[1 : 1 + arms, None]
    b = x[-1] if asymptote is None else asymptote
    gradient = np.zeros((arms, len(lengths), len(x)))
    gradient[:, :, 0] = p**lengths
    for g in range(arms):
        gradient[g, :, 1 + g] = a * lengths * p[g] ** np.maximum(lengths - 1, 0)
    if asymptote is None:
        gradient[:, :, -1] = 1
    return a * p**lengths + b, gradient


def fit_one(lengths, survived, shots, asymptote, start):
    """Maximum-likelihood parameters (A, p of each arm[, B]) of one curve.

    Args:
        lengths: (L,).
        survived: Totals per length, (arms, L).
        shots: Totals per length, (arms, L).
        asymptote: B, or None to fit it.
        start: Parameters to start from, such as the true ones.
    """
    lengths = np.asarray(lengths, dtype=float)
    arms = len(survived)

    def loss(x):
        s = np.clip(_model(x, lengths, arms, asymptote)[0], 1e-12, 1 - 1e-12)
        return -(survived * np.log(s) + (shots - survived) * np.log(1 - s)).sum()

    x = minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-9, "maxiter": 4000}).x
    for _ in range(50):
        s, gradient = _model(x, lengths, arms, asymptote)
        weight = 1 / (s * (1 - s))
        score = np.einsum("glp,gl->p", gradient, weight * (survived - shots * s))
        step = np.linalg.solve(np.einsum("glp,gl,glq->pq", gradient, weight * shots, gradient), score)
        x = x + step
        if np.abs(step).max() < 1e-15:
            break
    return x


def sandwich_one(lengths, survived, shots, asymptote, theta):
    """Sandwich covariance of (A, p of each arm[, B]) of one curve, cell by cell, with the quantities behind the interval of p.

    Args:
        lengths: (L,).
        survived: By sequence, (arms, L, K).
        shots: (arms, L, K).
        asymptote: B, or None if it was fitted.
        theta: The estimates, as from :func:`fit_one`.

    Returns:
        Covariance (P, P); variances that each length contributes to p of the first arm (L,) and their degrees of freedom (L,).
    """
    arms, count = survived.shape[:2]
    s, gradient = _model(np.asarray(theta, dtype=float), np.asarray(lengths, dtype=float), arms, asymptote)
    bread = np.zeros((len(theta), len(theta)))
    for g in range(arms):
        for i in range(count):
            bread += shots[g, i].sum() * np.outer(gradient[g, i], gradient[g, i]) / (s[g, i] * (1 - s[g, i]))
    inverse = np.linalg.inv(bread)
    parts, dofs = [], []
    for i in range(count):
        taken = [k for k in range(survived.shape[2]) if shots[:, i, k].any()]
        scores = []
        for k in taken:
            score = 0.0
            for g in range(arms):
                mean = survived[g, i].sum() / shots[g, i].sum()
                score = score + gradient[g, i] / (s[g, i] * (1 - s[g, i])) * (survived[g, i, k] - shots[g, i, k] * mean)
            scores.append(inverse @ score)
        parts.append(len(taken) / (len(taken) - 1) * sum(np.outer(v, v) for v in scores))
        dofs.append(len(taken) - 1)
    return sum(parts), np.array([p[1, 1] for p in parts]), np.array(dofs)

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
    """Sandwich covariance of (A, p of each arm[, B]) of one curve, length by length, with the quantities behind the interval of p.

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
        levers = [inverse @ gradient[g, i] / (s[g, i] * (1 - s[g, i])) for g in range(arms)]
        scatter = count_covariance(survived[:, i], shots[:, i], s[:, i] * (1 - s[:, i]))
        parts.append(sum(scatter[g, h] * np.outer(levers[g], levers[h]) for g in range(arms) for h in range(arms)))
        dofs.append(min(min((t > 0).sum(), max(t.sum() ** 2 / (t**2).sum(), 2)) for t in shots[:, i].astype(float)) - 1)
    return sum(parts), np.array([p[1, 1] for p in parts]), np.array(dofs)


def count_covariance(survived, shots, variance):
    """Covariance of the arms' total counts at one length, (arms, arms), from (arms, K) counts and S (1 - S) of each arm.

    Sequence k of arm g survives with S_g + b_gk, b of covariance Sigma. Residual counts are M_g b_g plus what shots do, with
    M_g = diag(t) - t t' / T, so their products are trace(M_g' M_h) Sigma_gh in the mean; squares are taken per shot instead.
    """
    arms = len(survived)
    t = shots.astype(float)
    total = t.sum(axis=1)
    residual = survived - t * (survived.sum(axis=1) / total)[:, None]
    out = np.zeros((arms, arms))
    for g in range(arms):
        project = np.diag(t[g]) - np.outer(t[g], t[g]) / total[g]
        taken = t[g] > 0
        scatter = (residual[g, taken] ** 2 / t[g, taken]).sum() - (taken.sum() - 1) * variance[g]
        sigma = scatter / (np.diag(project) @ np.ones(len(t[g])))
        out[g, g] = max(total[g] * variance[g] + sigma * (t[g] ** 2).sum(), 0)
        for h in range(g):
            other = np.diag(t[h]) - np.outer(t[h], t[h]) / total[h]
            out[g, h] = out[h, g] = residual[g] @ residual[h] / np.trace(project.T @ other) * (t[g] @ t[h])
    return out

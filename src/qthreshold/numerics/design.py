"""Lengths of randomized benchmarking, and the shots that each deserves, from the errors that are expected.

A design is a set of lengths with their shares of device time. What it says about an error follows from its Fisher
information: with S(m) = A p^m + 1/d in each arm, and log A and the decay rates -log p as parameters, the variance of a
contrast c of parameters is c' M^-1 c, where M is the mean over device time of the information per second at each length.
The contrast is the difference of the rates of both arms (the C-NOT error), or the rate itself where there is one arm.

Lengths that are best for one expected error are few and fragile, so the criterion is the mean logarithm of the variance
over all targets that must share their lengths, and over a factor by which each expectation may be wrong. It is convex in
the shares, and scale-free: every target counts alike.

References:
    G. Elfving, Ann. Math. Stat. 23, 255 (1952) (c-optimality). F. Pukelsheim, Optimal Design of Experiments, SIAM (2006),
    chapters 2, 5 and 7 (information functions, efficiency bounds, equivalence theorem).
    S. D. Silvey, D. M. Titterington, B. Torsney, Commun. Stat. A 7, 1379 (1978) (multiplicative algorithm), with the power 1/2.
    K. Chaloner, K. Larntz, J. Stat. Plan. Inference 21, 191 (1989) (mean of log variances over a prior).
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

__all__ = ["Design", "Setup", "optimal_lengths", "relative_error"]

Real = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_PER_FOLD = 12  # lengths of the grid per factor e: a length 4 % off the best one costs nothing that can be measured
_FOLDS = 3.0  # e-folds of the slowest decay that the grid reaches: beyond, the signal is gone
_GROUPS = 24  # expected errors are grouped to so many: more do not change the lengths
_FLOOR = 0.05  # every length gets at least as many shots as the longest would get in this share of device time
_LOSS = 0.01  # relative loss of information allowed for merging neighbouring lengths
_STOP = 1e-3  # the algorithm stops when no design can be better by more
_STEPS = 3000
_GONE = 160.0  # e-folds after which a signal counts as so small and no smaller: its square must not underflow
_MOST_LOST = 0.9  # largest share of the signal that a step is taken to lose
_OUTLIER_FOLDS = 2.5  # e-folds after which the signal of a bad target is still seen with a few hundred shots


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What one execution costs and how much noise it carries.

    Attributes:
        dim: Dimension d, 4 for a pair and 2 for a qubit.
        visibility: A in units of its largest value 1 - 1/d: what state preparation and measurement leave.
        overhead: Seconds per execution beside its steps: repetition delay and readout.
        step: Seconds per step of each arm: reference and interleaved, or one value for standard RB. Defaults are those of heron-133.
        coherence: Standard deviation between sequences of the signal lost, in units of its mean: 0 for stochastic noise, about 0.5
            for coherent noise (a model, not checked against the literature: six equal random components for a pair, sqrt(2/6)).
        shots: Executions per sequence. Coherence makes the shots of one sequence alike, so more of them teach less.
    """

    dim: int = 4
    visibility: float = 0.97
    overhead: float = 252e-6
    step: tuple[float, ...] = (0.25e-6, 0.4e-6)
    coherence: float = 0.0
    shots: float = 300

    def __post_init__(self) -> None:
        if self.dim < 2:
            raise ValueError(f"dim must be at least 2, got {self.dim}")
        if not 0 < self.visibility <= 1:
            raise ValueError(f"visibility must lie in (0, 1], got {self.visibility}")
        if not 0 < self.overhead < np.inf or len(self.step) not in (1, 2) or not all(0 <= s < np.inf for s in self.step):
            raise ValueError(f"overhead must be positive and step hold one or two durations of at least 0, got {self.overhead} and {self.step}")
        if not 0 <= self.coherence < np.inf or not 1 <= self.shots < np.inf:
            raise ValueError(f"coherence must be at least 0 and shots at least 1, got {self.coherence} and {self.shots}")

    @property
    def contrast(self) -> Real:
        """The combination of the arms' decay rates that is wanted, ``(G,)``."""
        return np.array([-1.0, 1.0][-len(self.step) :])

    def seconds(self, lengths: npt.ArrayLike) -> Real:
        """Device time of one execution of every arm, in the shape of ``lengths``."""
        return len(self.step) * self.overhead + np.asarray(lengths, dtype=float) * sum(self.step)

    def rates(self, error: Real, reference: Real) -> Real:
        """Decay rates -log p of each arm, from the errors ``(J,)`` of the gate and of the reference step: ``(J, G)``."""
        gate, step = (-np.log1p(-np.minimum(e * self.dim / (self.dim - 1), _MOST_LOST)) for e in (error, reference))
        return np.stack([step, step + gate] if len(self.step) == 2 else [gate], axis=1)

    def information(self, rates: Real, lengths: npt.ArrayLike) -> Real:
        """Fisher information about the log of the signal per second of device time, ``(J, G, L)``."""
        full = self.visibility * (1 - 1 / self.dim)
        signal = full * np.exp(-np.minimum(rates[:, :, None] * np.asarray(lengths, dtype=float), _GONE))
        survival = signal + 1 / self.dim
        variance = survival * (1 - survival) + (self.shots - 1) * (self.coherence * (full - signal)) ** 2
        return np.asarray(signal**2 / variance / self.seconds(lengths))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Design:
    """Lengths and how to share a budget among them.

    Attributes:
        lengths: Steps, int64 ``(L,)``, increasing.
        shares: Share of all shots at each length, ``(L,)``; sums to 1.
        relative_error: Standard error of each expected error relative to itself after one second of device time, ``(N,)``; it falls
            with the square root of the time. NaN where the error is not known.
        efficiency: Information of this design in that of the best one without any restriction: a guaranteed lower bound.
    """

    lengths: Ints
    shares: Real
    relative_error: Real
    efficiency: float


def optimal_lengths(
    expected_error: npt.ArrayLike,
    *,
    reference_error: npt.ArrayLike | None = None,
    setup: Setup | None = None,
    spread: float = 1.0,
    outlier: float | None = None,
    least: int = 3,
    longest: int = 10**7,
) -> Design:
    """The lengths and shares of shots that tell most about an error per second of device time.

    Args:
        expected_error: Expected average gate infidelity of the interleaved gate of every target that shares the lengths (of a Clifford
            where ``setup`` has one arm), scalar or ``(N,)``. NaN, and 0.5 or more: not known, left out. Errors too small for
            ``longest`` count as the smallest that it shows.
        reference_error: Average gate infidelity of the reference step, ``(N,)`` or scalar; twice the expected error where left out
            (one and a half C-NOTs and the pulses around them). Unused with one arm.
        setup: Costs and noise of an execution.
        spread: Factor by which every expected error may be wrong either way.
        outlier: If given, the lengths include 1 and one at which a target so many times worse than the median still has signal.
        least: Fewest distinct lengths. The best design often has one or two, on which a curve that is no exponential goes unseen.
        longest: Largest length.

    Raises:
        ValueError: No expected error is known, one is negative or infinite, or an argument is out of range.

    Example:
        >>> design = optimal_lengths(2.5e-3)
        >>> design.lengths.tolist(), design.shares.round(2).tolist(), round(design.efficiency, 2)
        ([1, 10, 102], [0.05, 0.05, 0.9], 0.92)
    """
    setup = setup or Setup()
    error, reference = _checked(expected_error, reference_error, spread, outlier, least, longest)
    error = np.maximum(error, 1 / (_FOLDS * longest))
    known = np.isfinite(error)
    rates = setup.rates(*_groups(error[known], reference[known], spread))
    grid = _grid(float(rates.min()), longest)
    problem = _Problem.of(setup, rates, grid)
    weights, bound = _optimise(problem, np.zeros(grid.size))
    lengths = _merged(problem, weights)
    if outlier is not None:
        median = np.median(setup.rates(error[known], reference[known])[:, -1])
        lengths |= {1, int(np.clip(round(_OUTLIER_FOLDS / (outlier * median)), 2, longest))}
    chosen = np.array(_filled(lengths, least, longest), dtype=np.int64)
    final = _Problem.of(setup, rates, chosen)
    seconds = setup.seconds(chosen)
    weights, _ = _optimise(final, min(_FLOOR, 0.5 / chosen.size) * seconds / seconds[-1])
    shares = weights / seconds / (weights / seconds).sum()
    return Design(
        lengths=chosen, shares=shares, relative_error=relative_error(chosen, shares, error, reference_error=reference, setup=setup),
        efficiency=float(np.exp(bound - final.loss(weights))),
    )  # fmt: skip


def relative_error(
    lengths: npt.ArrayLike, shares: npt.ArrayLike, error: npt.ArrayLike, *, reference_error: npt.ArrayLike | None = None, setup: Setup | None = None
) -> Real:
    """Standard error of an error relative to itself after one second of device time, by the Cramer-Rao bound of a design.

    Args:
        lengths: Steps, ``(L,)``.
        shares: Share of all shots at each length, ``(L,)``.
        error: Average gate infidelity of the interleaved gate (one arm: of a Clifford), scalar or ``(N,)``.
        reference_error: As for :func:`optimal_lengths`.
        setup: Costs and noise of an execution.

    Returns:
        ``(N,)``; NaN where the error is.

    Example:
        >>> (relative_error([1, 5, 35, 100], np.full(4, 1 / 4), 2.5e-3) / relative_error([1, 100], [0.1, 0.9], 2.5e-3)).round(2).tolist()
        [1.43]
    """
    setup = setup or Setup()
    error = np.atleast_1d(np.asarray(error, dtype=float))
    rates = setup.rates(error, _reference(error, reference_error))
    time = np.asarray(shares, dtype=float) * setup.seconds(lengths)
    variance, _ = _Problem.of(setup, rates, np.asarray(lengths)).variance(time / time.sum())
    return np.sqrt(variance) / np.expm1(rates @ setup.contrast)


def _checked(
    expected: npt.ArrayLike, reference: npt.ArrayLike | None, spread: float, outlier: float | None, least: int, longest: int
) -> tuple[Real, Real]:
    """Errors as arrays ``(N,)``, NaN where not known."""
    error = np.atleast_1d(np.asarray(expected, dtype=float))
    if error.ndim != 1 or (error < 0).any() or np.isinf(error).any():
        raise ValueError(f"expected_error must be finite and not negative, got {np.asarray(expected).tolist()}")
    error = np.where(error < 0.5, error, np.nan)
    if np.isnan(error).all():
        raise ValueError(f"expected_error must hold a value below 0.5, got {np.asarray(expected).tolist()}")
    if not 1 <= spread < np.inf or (outlier is not None and not 1 < outlier < np.inf):
        raise ValueError(f"spread must be at least 1 and outlier more than 1, got {spread} and {outlier}")
    if not 1 <= least <= longest:
        raise ValueError(f"least must lie between 1 and longest, got {least} and {longest}")
    if outlier is not None and longest < 2:
        raise ValueError(f"an outlier needs two lengths, but longest is {longest}")
    return error, _reference(error, reference)


def _reference(error: Real, given: npt.ArrayLike | None) -> Real:
    reference = 2 * error if given is None else np.broadcast_to(np.asarray(given, dtype=float), error.shape)
    if (reference < 0).any() or not np.isfinite(reference[np.isfinite(error)]).all():
        raise ValueError(f"reference_error must be finite and not negative, got {np.asarray(given).tolist()}")
    return reference


def _groups(error: Real, reference: Real, spread: float) -> tuple[Real, Real]:
    """At most :data:`_GROUPS` typical targets of equal weight, each four times: half as expected, a quarter ``spread`` times better and worse."""
    order = np.array_split(np.argsort(error), min(error.size, _GROUPS))
    factors = np.array([1 / spread, 1.0, 1.0, spread])[:, None]
    tiny = np.finfo(float).tiny
    a, b = (factors * np.exp([np.log(np.maximum(x[i], tiny)).mean() for i in order]) for x in (error, reference))
    return a.ravel(), b.ravel()


def _grid(slowest: float, longest: int) -> Ints:
    """Candidate lengths, evenly spaced on a log scale as far as integers are."""
    top = max(2.0, min(_FOLDS / slowest, longest))
    count = int(np.ceil(_PER_FOLD * np.log(top))) + 1
    grid = np.unique(np.rint(np.geomspace(1, top, count)).astype(np.int64))
    return grid[grid <= longest]


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    """Information per second of device time at each candidate length, for each expectation and arm."""

    lengths: Real  # (L,)
    information: Real  # (J, G, L)
    contrast: Real  # (G,)

    @classmethod
    def of(cls, setup: Setup, rates: Real, lengths: npt.ArrayLike) -> "_Problem":
        m = np.asarray(lengths, dtype=float)
        return cls(m, setup.information(rates, m), setup.contrast)

    def variance(self, weights: Real) -> tuple[Real, Real]:
        """Variance of the contrast ``(J,)`` after one second shared as ``weights`` (L,), and its sensitivity ``(J, L)``.

        Solves M x = c by eliminating the rates: the arms meet in log A alone. The sensitivity is what a length contributes to
        1 = c' x / c' x, per weight: its weighted mean is 1.
        """
        f, m, c = self.information, self.lengths, self.contrast
        f0, f1, f2 = f @ weights, f @ (weights * m), f @ (weights * m**2)
        # One length alone tells the ratio of two arms and nothing about A: the ridge lets that case pass
        bend = (f0 - f1**2 / f2).sum(axis=1) + 1e-9 * f0.sum(axis=1)
        a = (f1 * c / f2).sum(axis=1) / bend
        x = (c + f1 * a[:, None]) / f2
        variance = x @ c
        lever = a[:, None, None] - m * x[:, :, None]
        return variance, (f * lever**2).sum(axis=1) / variance[:, None]

    def loss(self, weights: Real) -> float:
        """Mean log variance."""
        return float(np.log(self.variance(weights)[0]).mean())


def _optimise(problem: _Problem, floor: Real) -> tuple[Real, float]:
    """Shares of time, none below ``floor`` (L,), with the least mean log variance, and a bound that no shares can beat.

    Multiplicative algorithm. The equivalence theorem bounds what is left to gain: 1 / exp(loss) is concave and homogeneous in the
    shares, so no design has more than max(sensitivity) times the information of this one.
    """
    free, bound = np.full(floor.size, 1 / floor.size), -np.inf
    for _ in range(_STEPS):
        weights = floor + (1 - floor.sum()) * free
        variance, sensitivity = problem.variance(weights)
        mean = sensitivity.mean(axis=0)
        gain = mean.max()
        bound = max(bound, float(np.log(variance).mean() - np.log(gain)))
        if gain / (free @ mean) < 1 + _STOP:
            break
        free = free * np.sqrt(mean)
        free /= free.sum()
    return weights, bound


def _merged(problem: _Problem, weights: Real) -> set[int]:
    """Few lengths that keep nearly all information: neighbours are merged, the cheapest first."""
    index = np.flatnonzero(weights > 1e-3 * weights.max())
    share = weights[index] / weights[index].sum()
    allowed = problem.loss(weights) + _LOSS
    while index.size > 1:
        trials = [_joined(index, share, i) for i in range(index.size - 1)]
        losses = [problem.loss(np.bincount(i, s, weights.size).astype(float)) for i, s in trials]
        best = int(np.argmin(losses))
        if not losses[best] <= allowed:
            break
        index, share = trials[best]
    return {int(m) for m in problem.lengths[index]}


def _joined(index: Ints, share: Real, i: int) -> tuple[Ints, Real]:
    """Grid points and shares with points i and i + 1 replaced by their centre."""
    both = share[i : i + 2]
    centre = round(float(both @ index[i : i + 2] / both.sum()))
    return np.concatenate([index[:i], [centre], index[i + 2 :]]), np.concatenate([share[:i], [both.sum()], share[i + 2 :]])


def _filled(lengths: set[int], least: int, longest: int) -> list[int]:
    """At least so many lengths: a single step first, then the middle of the widest gap on a log scale."""
    out = sorted(lengths if len(lengths) >= least else lengths | {1})
    while len(out) < least:
        gaps = [(b / a, a, b) for a, b in pairwise(out) if b > a + 1]
        if gaps:
            _, low, high = max(gaps)
            middle = int(np.clip(round(np.sqrt(low * high)), low + 1, high - 1))
        else:
            middle = out[-1] + 1  # at most longest: so far the lengths are 1, 2, 3 ...
        out = sorted([*out, middle])
    return out

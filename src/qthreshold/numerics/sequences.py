"""Survival counts of many curves, sequence by sequence: checked, put in order, and reduced to what fits need.

Counts come as integers (N, L, K) for each arm. Here cells become (G, K, L, n), so that sums over sequences run along
contiguous curves. The scatter of sequences about their length's own mean is what intervals are made of; what readout alone does
to it is taken out where the expected outcomes are known. The axis of sequences is taken as their order in time.

References:
    A. Wald, J. Wolfowitz, Ann. Math. Stat. 11, 147 (1940) (runs test).
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qthreshold.numerics.likelihood import Totals

__all__ = ["Arranged", "Moments", "Residuals", "arrange", "moments", "moments_of", "residuals"]

Real = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_FEWEST_CELLS = 20  # for the normal approximation of the runs test
_TILE = 256
_EXACT = 2**53  # sums of squared counts below are exact in floating point


@dataclass(frozen=True, slots=True)
class Arranged:
    """Checked counts of G arms: lengths increasing and different, ``(L,)``; survived, an integer array ``(N, L, K)`` for each arm.

    ``shots`` is one number where all cells have as many, else an integer array ``(N, L, K)`` for each arm; ``outcome`` is one for each
    arm where it is known.
    """

    lengths: Real
    survived: tuple[npt.NDArray[np.integer], ...]
    shots: int | tuple[npt.NDArray[np.integer], ...]
    outcome: tuple[npt.NDArray[np.integer], ...] | None


def arrange(lengths: npt.ArrayLike, survived: Sequence[npt.ArrayLike], shots: npt.ArrayLike, outcome: npt.ArrayLike | None = None) -> Arranged:
    """Check counts, sort lengths and put the sequences of equal lengths together.

    Raises:
        ValueError: What is wrong, and both values that do not fit together.
    """
    m = _checked_lengths(lengths)
    if not len(survived):
        raise ValueError("at least one arm is needed, got none")
    arms = [_integers(x, "survived") for x in survived]
    if arms[0].ndim != 3 or arms[0].shape[1] != m.size or any(x.shape != arms[0].shape for x in arms):
        shapes = " and ".join(dict.fromkeys(str(x.shape) for x in arms))
        raise ValueError(f"survived must have shape (N, {m.size}, K) for {m.size} lengths, the same in every arm, got {shapes}")
    t = _integers(shots, "shots")
    each = _for_each_arm(t, arms, "shots")
    uniform = t.size > 0 and t.min() == t.max() > 0 and arms[0].shape[2] > 0
    for x, s in zip(arms, each, strict=True):
        _check_range(x, s, int(t.flat[0]) if uniform else None)
    ends = None if outcome is None else _for_each_arm(_integers(outcome, "outcome"), arms, "outcome")
    order, often = np.unique(m, return_counts=True)
    if not np.array_equal(m, order):
        arms, each = [_by_length(x, m) for x in arms], [_by_length(s, m) for s in each]
        ends = None if ends is None else [_by_length(o, m) for o in ends]
        uniform = uniform and bool((often == often[0]).all())  # else the rarer lengths end in gaps
    return Arranged(order, tuple(arms), int(t.flat[0]) if uniform else tuple(each), None if ends is None else tuple(ends))


def _for_each_arm(values: npt.NDArray[np.integer], arms: list[npt.NDArray[np.integer]], name: str) -> list[npt.NDArray[np.integer]]:
    try:
        return list(np.broadcast_to(values, (len(arms), *arms[0].shape)))
    except ValueError:
        raise ValueError(f"{name} of shape {values.shape} do not fit survived of shape {arms[0].shape}") from None


def _checked_lengths(lengths: npt.ArrayLike) -> Real:
    m = np.asarray(lengths)
    if isinstance(lengths, np.ma.MaskedArray):
        raise ValueError(f"lengths must not be masked, got {lengths}")
    if m.ndim != 1 or m.dtype.kind not in "iuf":
        raise ValueError(f"lengths must be a list of numbers, got {m.dtype} of shape {m.shape}: {m.tolist()}")
    if not np.isfinite(m).all() or (m < 0).any():
        raise ValueError(f"lengths must be finite and not negative, got {m.tolist()}")
    if np.unique(m).size < 2:
        raise ValueError(f"a decay needs at least two different lengths (three where the asymptote is fitted), got {m.tolist()}")
    return m.astype(float)


def _integers(values: npt.ArrayLike, name: str) -> npt.NDArray[np.integer]:
    if isinstance(values, np.ma.MaskedArray):
        raise ValueError(f"{name} is a masked array, whose mask would be lost; give missing cells 0 shots")
    array = np.asarray(values)
    if array.dtype.kind in "iu":
        return array
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise ValueError(f"{name} must be counts, got NaN at {tuple(np.argwhere(np.isnan(array))[0].tolist())}; give missing cells 0 shots")
    raise ValueError(f"{name} must be counts of an integer type, got {array.dtype} (a probability alone does not say of how many shots)")


def _check_range(survived: npt.NDArray[np.integer], shots: npt.NDArray[np.integer], uniform: int | None) -> None:
    if not survived.size or (survived.min() >= 0 and (survived.max() <= uniform if uniform is not None else (survived <= shots).all())):
        return
    at = tuple(np.argwhere((survived < 0) | (survived > shots))[0].tolist())
    raise ValueError(f"survived must lie between 0 and shots in every cell, got {survived[at]} of {shots[at]} at (curve, length, sequence) {at}")


def _by_length(counts: npt.NDArray[np.integer], lengths: Real) -> npt.NDArray[np.integer]:
    """Counts ``(N, L, K)`` of repeated or unsorted lengths by different lengths ``(N, L', K')``, padded with empty cells."""
    places = [np.flatnonzero(lengths == m) for m in np.unique(lengths)]
    n, _, k = counts.shape
    out = np.zeros((n, len(places), k * max(map(len, places))), dtype=counts.dtype)
    for i, rows in enumerate(places):
        out[:, i, : k * len(rows)] = counts[:, rows].reshape(n, -1)
    return out


@dataclass(frozen=True, slots=True)
class Moments:
    """What the fit needs of a block of n curves.

    Sequence k of arm g and length l has t shots, and its survival scatters about the length's mean by a part that its shots
    explain, S (1 - S) / t, and a part that sequences differ by. The second has the same covariance for all sequences of a length, and
    is what the residuals beyond the first tell of it: an estimate without bias however unequal the shots are.

    Attributes:
        totals: Counts summed over sequences.
        sequences: How many of them each arm has, ``(G, L, n)``. This, ``freedom``, ``pairs``, ``dof`` and ``inflate`` have axes of length 1
            where all are alike.
        per_shot: Sums over sequences of squared residual shares times shots, ``(G, L, n)``.
        freedom: What those sums are of the covariance between sequences: sum t - sum t^2 / sum t, ``(G, L, n)``.
        pairs: Sums of products of the arms' shots, ``(G, G, L, n)``.
        cross: Covariance of the arms' survival between sequences, ``(G, G, L, n)``; 0 on the diagonal.
        dof: Degrees of freedom of the scatter, ``(L, n)``: sequences less one, fewer where some have most of the shots.
        inflate: By how much squares of single arms came out too small because the effect of readout was taken out of them, ``(n,)``.
            Between arms that effect cancels, so ratios of arms lost nothing.
        runs_z: Runs of residuals of one sign in time, less what chance gives, in its standard deviations, ``(n,)``; NaN where too few.
    """

    totals: Totals
    sequences: Real
    per_shot: Real
    freedom: Real
    pairs: Real
    cross: Real
    dof: Real
    inflate: Real
    runs_z: Real

    @property
    def alike(self) -> bool:
        """Whether all cells have equal shots, so that one number stands for all lengths (there are two or more) and curves."""
        return self.sequences.shape[1] == 1

    def freed(self, index: npt.NDArray[np.intp]) -> "Moments":
        """Some of the curves, with the asymptote to be fitted."""
        totals = dataclasses.replace(self.totals.columns(index), asymptote=None)
        fields = (getattr(self, f.name) for f in dataclasses.fields(self)[1:])
        return Moments(totals, *(x if x.shape[-1] == 1 else x[..., index] for x in fields))

    def between(self, variance: Real) -> Real:
        """Covariance of the arms' survival between sequences, ``(G, G, L, n)``, given S (1 - S) ``(G, L, n)``; the diagonal may be below 0."""
        arms = range(len(variance))
        out = self.cross.copy()
        beyond = self.per_shot - np.maximum(self.sequences - 1, 0) * variance
        out[arms, arms] = np.where(self.sequences > 1, beyond / np.maximum(self.freedom, 1e-300), 0.0)
        return out

    def covariance(self, variance: Real, alone: Real) -> Real:
        """Covariance of the arms' total counts at each length, ``(G, G, L, n)``.

        Args:
            variance: S (1 - S), ``(G, L, n)``.
            alone: By how much more than its shots a sequence is taken to scatter where it is the only one of its length, ``(n,)``.
        """
        arms = range(len(variance))
        if self.alike and self.sequences.min() > 1:  # what shots explain comes in as it went out
            out = self.cross * self.pairs
            out[arms, arms] = self.per_shot * (self.pairs[arms, arms] / self.freedom)
            return out
        out = self.between(variance) * self.pairs
        shots = self.totals.shots * variance
        out[arms, arms] = np.maximum(out[arms, arms] + np.where(self.sequences > 1, shots, shots * alone), 0.0)
        return out


def moments(data: Arranged, rows: slice, asymptote: float | None, room: Real | None = None) -> Moments:
    """Reduce a block of curves to what a fit needs.

    Args:
        data: The counts.
        rows: Which curves.
        asymptote: B, or None where it is to be fitted.
        room: Memory for the cells of a block, at least ``(G L K n,)``, which may be used again for the next: fresh memory costs more
            time than all that is done with it.
    """
    if isinstance(data.shots, int) and data.outcome is None and data.shots**2 * data.survived[0].shape[2] < _EXACT:
        return _plain_moments(data, rows, asymptote, room)
    return moments_of(residuals(data, rows), data.lengths, asymptote)


def moments_of(r: "Residuals", lengths: Real, asymptote: float | None) -> Moments:
    """Reduce residuals."""
    used = r.shots > 0
    sequences, pairs, total = used.sum(axis=1).astype(float), _products(r.shots), r.shots.sum(axis=1)
    squares, some = np.einsum("ggln->gln", pairs), np.maximum(total, 1)
    residual = r.share * r.shots
    equal = np.maximum(total**2 / np.maximum(squares, 1), 2.0)  # so many sequences of equal shots would be as good
    least = np.where(sequences > 1, np.minimum(sequences, equal), np.inf).min(axis=0) - 1
    return Moments(
        totals=Totals(lengths, r.mean * total, total, asymptote), sequences=sequences, per_shot=(residual * r.share).sum(axis=1),
        freedom=total - squares / some, pairs=pairs, cross=_cross(residual, r.shots, pairs, some), dof=np.minimum(least, 1e9), inflate=r.inflate,
        runs_z=_runs_z(r.share.sum(axis=0) > 0, np.asarray(used.any(axis=0))),
    )  # fmt: skip


def _cross(residual: Real, shots: Real, pairs: Real, total: Real) -> Real:
    """Covariance of different arms between sequences, from products of their residual counts; 0 on the diagonal."""
    out = np.zeros_like(pairs)
    for g in range(len(shots)):
        for h in range(g):
            t, u, both = shots[g], shots[h], pairs[g, h]
            # residual counts are t (b - mean of b weighted by shots), b the sequence's own deviation: what is left of b_g b_h in their sum
            left = both - (t * t * u).sum(axis=0) / total[g] - (t * u * u).sum(axis=0) / total[h] + both**2 / (total[g] * total[h])
            some = left > 1e-9 * both
            out[g, h] = out[h, g] = np.where(some, (residual[g] * residual[h]).sum(axis=0) / np.where(some, left, 1.0), 0.0)
    return out


def _plain_moments(data: Arranged, rows: slice, asymptote: float | None, room: Real | None) -> Moments:
    """The same with equal shots in all cells, in fewer steps: no residual is ever written down. Sums of squares are exact integers."""
    assert isinstance(data.shots, int)
    t = float(data.shots)
    x = _cells_first(data.survived, rows, room)
    arms, k, lengths, n = x.shape
    total = x.sum(axis=1)
    mean = total / k
    squares = _products(x) - total[:, None] * mean
    per_shot = squares[range(arms), range(arms)] / t
    cross = squares / max((k - 1) * t**2, 1.0)
    cross[range(arms), range(arms)] = 0.0

    def same(value: float, *shape: int) -> Real:
        return np.full((*shape, 1, 1), value)

    return Moments(
        totals=Totals(data.lengths, total, np.full((arms, lengths, n), k * t), asymptote), sequences=same(k, arms), per_shot=per_shot,
        freedom=same((k - 1) * t, arms), pairs=same(k * t**2, arms, arms), cross=cross, dof=same(k - 1 if k > 1 else 1e9), inflate=np.ones(1),
        runs_z=_runs_z(x.sum(axis=0) > mean.sum(axis=0) if arms > 1 else x[0] > mean[0], None),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Residuals:
    """Deviations of sequences from their length's own mean, in shares of their shots.

    Attributes:
        share: Residual share, ``(G, K, L, n)``; 0 where a cell is missing.
        shots: ``(G, K, L, n)``.
        mean: Mean survival of each length, ``(G, L, n)``, as if every outcome had been asked for equally often.
        inflate: As in :class:`Moments`, ``(n,)``.
    """

    share: Real
    shots: Real
    mean: Real
    inflate: Real


def residuals(data: Arranged, rows: slice) -> Residuals:
    """Residuals of a block of curves."""
    x = _cells_first(data.survived, rows)
    t = np.full(x.shape, float(data.shots)) if isinstance(data.shots, int) else _cells_first(data.shots, rows)
    total = np.maximum(t.sum(axis=1), 1)
    mean = x.sum(axis=1) / total
    if data.outcome is None:
        return Residuals((x - t * mean[:, None]) / np.maximum(t, 1), t, mean, np.ones(x.shape[3]))
    effect, known = _readout_effect(x, t, mean, _cells_first(data.outcome, rows))
    mean = mean / (1 + (t * effect).sum(axis=1) / total)  # outcomes that do not come equally often would shift it
    freedom = np.maximum((t > 0).sum(axis=1) - 1, 0).sum(axis=(0, 1))
    share = (x - t * mean[:, None] * (1 + effect)) / np.maximum(t, 1)
    return Residuals(share, t, mean, np.maximum(freedom / np.maximum(freedom - known, 1), 1.0))  # where nothing scatters nothing was taken out


def _readout_effect(x: Real, shots: Real, mean: Real, outcome: Real) -> tuple[Real, Real]:
    """What readout does to sequences that should end in different bit strings, and how many numbers say so.

    Zeros are read more reliably than ones, so that survival depends on the expected outcome: by a factor of one sign at every length,
    which doubles from the shortest (diagonal of the readout matrix) to the longest (sum of its row). One factor is taken for all.
    Where outcomes are balanced over the sequences of a length it averages out of the mean; otherwise it shifts the mean. It must not
    count as scatter.

    Args:
        x: Survived, ``(G, K, L, n)``.
        shots: Of the same shape.
        mean: Mean survival of each length, ``(G, L, n)``.
        outcome: Expected outcome of each cell, ``(G, K, L, n)``.

    Returns:
        Relative excess of each cell's survival over the mean of all outcomes, ``(G, K, L, n)``, and their number less one, ``(n,)``.
    """
    if not x.size:
        return np.zeros_like(x), np.zeros(x.shape[3])
    expected = shots * mean[:, None]
    weight = 1 / np.maximum(1 - mean, 1e-3)[:, None]
    here = [(outcome == o) & (shots > 0) for o in np.unique(outcome)]
    total = np.stack([(h * weight * expected).sum(axis=(0, 1, 2)) for h in here])  # (O, n)
    factor = np.stack([(h * weight * x).sum(axis=(0, 1, 2)) for h in here]) / np.maximum(total, 1e-300) - 1
    seen = total > 0
    factor = np.where(seen, factor - np.where(seen, factor, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1), 0.0)
    return np.asarray(sum(h * f for h, f in zip(here, factor, strict=True))), np.maximum(seen.sum(axis=0) - 1, 0)


def _products(x: Real) -> Real:
    """Sums over sequences of products of arms, ``(G, K, L, n)`` -> ``(G, G, L, n)``."""
    return np.stack([np.stack([np.einsum("kln,kln->ln", g, h) for h in x]) for g in x])


def _cells_first(arms: Sequence[npt.NDArray[np.integer]], rows: slice, room: Real | None = None) -> Real:
    """Counts ``(N, L, K)`` of each arm as ``(G, K, L, n)``, turned over a tile at a time, which is twice as fast as all at once."""
    n, lengths, sequences = arms[0][rows].shape
    shape = (len(arms), lengths * sequences, n)
    out = np.empty(shape) if room is None else room[: math.prod(shape)].reshape(shape)
    for turned, arm in zip(out, arms, strict=True):
        flat = arm[rows].reshape(n, lengths * sequences)
        for i in range(0, n, _TILE):
            turned[:, i : i + _TILE] = flat[i : i + _TILE].T
    return out.reshape(len(arms), lengths, sequences, n).swapaxes(1, 2)


def _runs_z(up: Bools, taken: Bools | None) -> Real:
    """Runs test of the signs of residuals, ``(K, L, n)``, along the sequences of each length in time, summed over lengths.

    Arms of a sequence share random Cliffords, so their residuals are one observation. Fewer runs than chance means drift. Any
    dichotomy of exchangeable values has the same distribution of runs given how many lie on each side, so ties do no harm.
    """
    k = len(up)
    if taken is None:
        above, cells = _count(up), np.full(up.shape[1:], k)
    else:
        above, cells = _count(up & taken), _count(taken)
        latest = np.maximum.accumulate(np.where(taken, np.arange(k)[:, None, None], 0), axis=0)
        first = taken.argmax(axis=0) if k else np.zeros(up.shape[1:], dtype=np.intp)
        up = np.take_along_axis(up, np.maximum(latest, first), axis=0)  # a missing cell repeats the last that has data
    changes = _count(up[1:] != up[:-1]).sum(axis=0)
    mean = 2 * above * (cells - above) / np.maximum(cells, 1)
    variance = (mean * np.maximum(mean - 1, 0) / np.maximum(cells - 1, 1)).sum(axis=0)
    enough = (cells.sum(axis=0) >= _FEWEST_CELLS) & (variance >= 1)
    return np.where(enough, (changes - mean.sum(axis=0)) / np.sqrt(np.where(enough, variance, 1.0)), np.nan)


def _count(flags: Bools) -> Ints:
    """How many are true along the first axis; in bytes as long as they hold, which is several times faster."""
    parts = (np.add.reduce(flags[i : i + 255].view(np.uint8), axis=0, dtype=np.uint8) for i in range(0, len(flags), 255))
    return sum((part.astype(np.int64) for part in parts), start=np.zeros(flags.shape[1:], dtype=np.int64))

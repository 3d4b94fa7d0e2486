"""Pools of random sequences with exactly known survival, to draw experiments from by the thousand.

One pool per noise family, true error and length: a few thousand independent sequences of padded interleaved RB, both arms,
each with the survival probability of every expected outcome. An experiment draws its sequences from it and then its shots.

The mean over a pool is shifted to the mean over all sequences. It is known exactly up to the noise of the last, inverting
element, which the pool supplies (a control variate); otherwise every experiment would share the pool's own random offset.
"""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import bias
import exact
import numpy as np
import numpy.typing as npt

from qthreshold.backends.noise import Noise
from qthreshold.device import Device
from qthreshold.numerics import channels

Real = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SIZE = 4000
READOUT = {"p1_given_0": 0.01, "p0_given_1": 0.02}
FAMILIES = {
    "depolarizing": bias.Family(name="depolarizing", incoherent=1.0),
    "damping": bias.Family(name="damping", incoherent=1.0, damping=True),
    "coherent": next(f for f in bias.FAMILIES if f.name == "cz ZZ, ZI, IZ; sx over-rotated"),
}
"""Depolarizing noise after every gate; half of it relaxation; over-rotated cz (ZZ, ZI, IZ) and sx and nothing else."""

_CHUNK = 500  # sequences that advance together: their matrices stay in the cache
_FACTORS = {"six": (0.0, 0.1, 0.25, 0.5, 0.8, 1.2)}
_FIXED = (1, 10, 20, 40, 80, 150)
DESIGNS = (*_FACTORS, "fixed")
"""Lengths: six from 1 to 1.2 / (1 - p_ref); 1 to 150 whatever the error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A simulated pair of one family at one true C-NOT error, and its pools by length."""

    family: str
    error: float
    size: int
    cache: Path | None
    model: exact.PairModel
    readout: Real
    p_ref: float
    p_int: float
    pools: dict[int, Real] = field(default_factory=dict)

    @classmethod
    def of(cls, family: str, error: float, *, size: int = SIZE, cache: Path | None = None) -> "Source":
        """The pair; pools come when they are asked for. ``cache``: a folder that keeps them."""
        device, noise = noisy_pair(family, error)
        model = exact.PairModel.of(device, noise)
        flip = channels.readout_flip(noise.p1_given_0, noise.p0_given_1)
        a, b = device.direction[0]
        p_ref, p_int = exact.decays(model, padded=True)
        return cls(
            family=family, error=error, size=size, cache=cache, model=model, readout=channels.tensor(flip[a], flip[b]), p_ref=p_ref, p_int=p_int
        )

    def lengths(self, design: str) -> Ints:
        """Lengths of a design, for the decay of the reference arm."""
        if design == "fixed":
            return np.array(_FIXED)
        return np.unique(np.maximum(1, np.rint(np.array(_FACTORS[design]) / (1 - self.p_ref)).astype(np.int64)))

    def pool(self, m: int) -> Real:
        """Survival ``(2, size, 4)``: arm, sequence, expected outcome."""
        if m not in self.pools:
            self.pools[m] = self._load(m)
        return self.pools[m]

    def _load(self, m: int) -> Real:
        if self.cache is None:
            return self._build(m)
        key = hashlib.sha256(b"".join(np.ascontiguousarray(x).tobytes() for x in (self.model.block, self.model.paddings, self.readout)))
        path = self.cache / f"{self.family}-{self.error:g}-{m}-{self.size}-{key.hexdigest()[:12]}.npz"
        if not path.exists():
            self.cache.mkdir(parents=True, exist_ok=True)
            np.savez(path, survival=self._build(m))
        with np.load(path) as file:
            return np.asarray(file["survival"])

    def _build(self, m: int) -> Real:
        rng = np.random.default_rng([list(FAMILIES).index(self.family), round(1e9 * self.error), m])
        layers = exact.Layers.of(self.model, padded=True)
        sizes = [min(_CHUNK, self.size - i) for i in range(0, self.size, _CHUNK)]
        parts = [exact.sequence_survival(self.model, layers, self.readout, exact.Sequences.draw(layers, m, n, rng)) for n in sizes]
        survival, plain = np.concatenate([p[0] for p in parts], axis=1), np.concatenate([p[1] for p in parts], axis=1)
        wanted = exact.mean_ideal_end(self.model, [m], padded=True)[:, 0]
        return np.clip(survival + _shift(survival.mean(axis=2), plain, wanted)[:, None, None], 0.0, 1.0)

    def draw(self, lengths: Ints, sequences: int, curves: int, rng: np.random.Generator) -> tuple[Real, Ints]:
        """Survival of the sequences of ``curves`` experiments, ``(2, curves, L, sequences)``, and their expected outcomes without the arm.

        Every length has sequences of its own; within a curve none is used twice. Expected outcomes are as a plan has them:
        balanced over the sequences of a length, equal in both arms.
        """
        expected = (np.arange(sequences) + rng.integers(4, size=(curves, len(lengths), 1))) % 4
        expected = rng.permuted(expected, axis=2)
        survival = np.empty((2, *expected.shape))
        groups = self.size // sequences
        for i, m in enumerate(lengths.tolist()):
            turns = [rng.permutation(self.size)[: groups * sequences].reshape(groups, sequences) for _ in range(-(-curves // groups))]
            survival[:, :, i] = self.pool(m)[:, np.concatenate(turns)[:curves], expected[:, i]]
        return survival, expected


def _shift(survival: Real, plain: Real, wanted: Real) -> Real:
    """What brings each arm's mean to that of all sequences, from the known mean of ``plain``; ``(2, size)`` twice and ``(2,)``."""
    spread = plain - plain.mean(axis=1, keepdims=True)
    slope = (spread * survival).sum(axis=1) / np.maximum((spread**2).sum(axis=1), 1e-300)
    return slope * (wanted - plain.mean(axis=1))


def noisy_pair(family: str, error: float) -> tuple[Device, Noise]:
    """One pair whose compiled C-NOT has the true error ``error``, with readout errors."""
    simulated = FAMILIES[family].device_at(error)
    noise = replace(simulated.noise, **{k: np.full(2, v) for k, v in READOUT.items()})
    return simulated.device, noise

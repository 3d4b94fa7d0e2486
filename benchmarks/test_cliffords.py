"""Speed of the Clifford tables and of drawing sequences."""

import numpy as np
from pytest_benchmark.fixture import BenchmarkFixture

from qthreshold.circuits import native
from qthreshold.numerics import cliffords

SEQUENCES, LENGTH = 3000, 50


def test_sequences_with_inverse(benchmark: BenchmarkFixture) -> None:
    """3,000 two-qubit sequences of 50 Cliffords and their inverses; divide by 150,000 for the time per Clifford."""
    cliffords.order(2)
    rng = np.random.default_rng(1)

    def draw() -> np.ndarray:
        drawn = cliffords.sample(2, (LENGTH, SEQUENCES), rng)
        total = cliffords.pauli(np.zeros(SEQUENCES, dtype=int), 2)
        for step in drawn:
            total = cliffords.compose(total, step, 2)
        return cliffords.compose(total, cliffords.inverse(total, 2), 2)

    assert (benchmark(draw) == cliffords.pauli(0, 2)).all()
    if benchmark.stats:
        benchmark.extra_info["ns_per_clifford"] = benchmark.stats["median"] / (SEQUENCES * LENGTH) * 1e9


def test_tables(benchmark: BenchmarkFixture) -> None:
    """Composition tables of the two-qubit group, built once per process."""
    benchmark.pedantic(lambda: cliffords._tables(2), setup=cliffords._tables.cache_clear, rounds=5)


def test_words(benchmark: BenchmarkFixture) -> None:
    """Words of all 11,520 elements for one native gate, built once per process."""

    def clear() -> None:
        for cached in (native._compiler, native.native_words):
            cached.cache_clear()

    native.native_words("cz")
    benchmark.pedantic(lambda: native.native_words("cz"), setup=clear, rounds=5)

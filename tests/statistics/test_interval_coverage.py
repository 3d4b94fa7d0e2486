"""Do intervals of single pairs and of device means hold the truth as often as they say? Exact survival of random sequences, sampled shots."""

import coverage
import exact
import numpy as np
import pools
import pytest

from qthreshold.plan import TWO_QUBIT, make_plan
from qthreshold.recipe import Recipe

DEVICES = 1000


@pytest.fixture(scope="module")
def sources() -> dict[tuple[str, float], pools.Source]:
    return {(f, r): pools.Source.of(f, r, size=2000) for f in pools.FAMILIES for r in (1e-2, 1e-3)}


@pytest.mark.slow
@pytest.mark.parametrize("shots", [100, 1000])
@pytest.mark.parametrize("sequences", [3, 10])
@pytest.mark.parametrize("error", [1e-2, 1e-3])
@pytest.mark.parametrize("family", pools.FAMILIES)
def test_intervals_cover_as_they_say(sources: dict[tuple[str, float], pools.Source], family: str, error: float, sequences: int, shots: int) -> None:
    rows = coverage.ours(sources[family, error], coverage.Cell(family, error, sequences, shots), DEVICES)
    assert [r.quantity for r in rows] == list(coverage.QUANTITIES)
    for row in rows:
        print(f"{row.quantity}: {row.covered_68:.1%}, {row.covered_95:.1%} of {row.runs}; bias {row.bias:+.3f}, spread {row.spread:.3f}")
        assert row.failed < 0.01
        assert not row.misses(), row  # by more than three standard errors of a binomial share


def test_survival_of_sequences_is_that_of_the_same_circuits_of_a_plan() -> None:
    device, noise = pools.noisy_pair("damping", 1e-2)
    two = {"lengths": [1, 6], "sequences": 8, "shots": 1}
    plan = make_plan(device, Recipe.model_validate({"schema": "qthreshold/recipe/1", "name": "x", "two_qubit": two}), 3, exact.block_elements())
    wanted, _ = exact.survival(device, noise, plan)
    source = pools.Source.of("damping", 1e-2)
    layers = exact.Layers.of(source.model, padded=True)
    for i, m in enumerate(two["lengths"]):
        for arm in (0, 1):
            circuits = np.flatnonzero((plan.circuit_experiment == TWO_QUBIT) & (plan.circuit_arm == arm) & (plan.circuit_length == m))
            rows = np.flatnonzero(np.isin(plan.unit_circuit, circuits))
            rows = rows[np.argsort(plan.circuit_sample[plan.unit_circuit[rows]])]
            drawn, layers_drawn = plan.sequences(rows)
            drawn, pads = drawn.reshape(-1, m).T, layers_drawn.reshape(-1, m, 2).swapaxes(0, 1).astype(np.int64)
            found = []
            for sign in range(4):  # which Z part the plan drew does not matter: one of the four must be it
                sequences = exact.Sequences(drawn, 36 * pads[..., 0] + pads[..., 1], np.full((2, len(rows), 4), sign))
                by_outcome, _ = exact.sequence_survival(source.model, layers, source.readout, sequences)
                found.append(by_outcome[arm, np.arange(len(rows)), plan.unit_expected[rows]])
            assert np.abs(np.array(found) - wanted[arm, 0, i]).min(axis=0).max() < 1e-12


@pytest.mark.parametrize("family", pools.FAMILIES)
def test_mean_of_random_sequences_is_a_power_of_the_twisted_step(family: str) -> None:
    model = pools.Source.of(family, 1e-2).model
    layers = exact.Layers.of(model, padded=True)
    sequences = exact.Sequences.draw(layers, 4, 3000, np.random.default_rng(7))
    plain = exact.sequence_survival(model, layers, np.eye(16), sequences)[1]
    assert (np.abs(plain.mean(axis=1) - exact.mean_ideal_end(model, [4], padded=True)[:, 0]) < 4 * plain.std(axis=1) / np.sqrt(3000)).all()


def test_draws_repeat_no_sequence_within_a_curve_and_balance_outcomes() -> None:
    source = pools.Source.of("depolarizing", 1e-2, size=40)
    source.pools[2] = np.arange(2 * 40 * 4, dtype=float).reshape(2, 40, 4)  # every value tells arm, sequence and outcome
    survival, expected = source.draw(np.array([2]), 8, 12, np.random.default_rng(1))
    drawn = survival[:, :, 0].astype(int)
    sequence, outcome = drawn // 4 % 40, drawn % 4
    assert (outcome == expected[:, 0]).all()
    assert (sequence[0] == sequence[1]).all()
    assert all(len(set(s)) == 8 for s in sequence[0].tolist())
    assert (np.sort(outcome, axis=2) == np.repeat(np.arange(4), 2)).all()

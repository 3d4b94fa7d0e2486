import numpy as np
import pytest

from qthreshold.backends.profiles import build, load_profile
from qthreshold.datafiles import load_named
from qthreshold.numerics.design import Setup, relative_error
from qthreshold.numerics.graphs import random_matchings
from qthreshold.recipe import Recipe
from qthreshold.schedule import expected_errors, one_qubit_schedule, step_seconds, two_qubit_schedule

RECIPE = load_named("circuits", "precise", Recipe, "recipe")
DEVICE = build(load_profile("ions-56-1e-4")).device


@pytest.fixture(scope="module")
def edges():
    """The pairs that an all-to-all device is measured on."""
    pairs = random_matchings(DEVICE.n_qubits, RECIPE.two_qubit.pairs_per_qubit, np.random.default_rng(1))[:, 1:]
    row = {tuple(e): i for i, e in enumerate(DEVICE.edges.tolist())}
    return np.array([row[tuple(p)] for p in pairs.tolist()])


@pytest.mark.parametrize(("coherence", "single", "mean"), [(0.0, 0.06, 0.006), (0.15, 0.09, 0.01)])
def test_precise_recipe_resolves_pairs_with_errors_of_1e_4(edges, coherence, single, mean):
    two = two_qubit_schedule(DEVICE, RECIPE, edges)
    error, reference = expected_errors(DEVICE, edges)
    seconds = step_seconds(DEVICE, padded=True)
    executions = two.sequences * two.shots
    setup = Setup(
        overhead=DEVICE.repetition_delay + seconds.readout, step=(seconds.reference, seconds.interleaved), coherence=coherence,
        shots=float(two.shots @ executions / executions.sum()),
    )  # fmt: skip
    alone = relative_error(two.lengths, executions / executions.sum(), error, reference_error=reference, setup=setup)
    alone /= np.sqrt(executions @ setup.seconds(two.lengths))
    assert np.median(alone) < single
    assert np.sqrt(((alone * error) ** 2).sum()) / error.sum() < mean


def test_precise_recipe_can_be_simulated_in_a_minute(edges):
    two, one = two_qubit_schedule(DEVICE, RECIPE, edges), one_qubit_schedule(DEVICE, RECIPE, DEVICE.usable_qubits)
    assert 2 * two.steps * len(edges) < 80e6
    assert one.steps * DEVICE.n_qubits < 100e6
    assert one.lengths[-1] > 20_000  # an error of 1e-5 shows
    assert two.lengths[-1] > 200

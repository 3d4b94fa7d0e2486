"""The synthetic backend finds what its profile says, without bias, the same every time, and without a quantum SDK."""

import subprocess
import sys

import numpy as np
import pytest

from qthreshold.backends import open_backend
from qthreshold.circuits.native import CNOT, NATIVE_UNITARY
from qthreshold.decays import make_decays
from qthreshold.errors import InputError
from qthreshold.fits import make_fits
from qthreshold.plan import make_plan
from qthreshold.ticket import layer_tickets
from qthreshold.workflow import load_recipe
from reference.commands import PROFILE
from reference.devices import small_recipe


def measured(spec, seed, recipe="quick"):
    with open_backend(spec) as backend:
        plan = make_plan(backend.device, load_recipe(recipe), seed, dict.fromkeys(NATIVE_UNITARY, CNOT))
        counts = [backend.collect(plan, t, lambda _: None) for t in layer_tickets(plan, backend.spec)]
        return plan, counts, make_fits(make_decays(plan, backend.device, counts), 0.95), backend.truth("cnot")


@pytest.fixture(scope="module")
def runs():
    return [measured("synthetic:grid-105", seed) for seed in range(6)]


def test_c_not_errors_are_found_without_bias_and_with_the_scatter_that_is_stated(runs):
    pulls = np.concatenate([(f.cnot[:, 0] - t.cnot_error[f.edges]) / f.cnot_error for _, _, f, t in runs])
    assert pulls.size > 1000
    assert abs(pulls.mean()) < 4 / np.sqrt(pulls.size)
    inside = np.concatenate([(f.cnot[:, 1] <= t.cnot_error[f.edges]) & (t.cnot_error[f.edges] <= f.cnot[:, 2]) for _, _, f, t in runs])
    assert abs(inside.mean() - 0.95) < 4 * np.sqrt(0.95 * 0.05 / inside.size) + 0.01


def test_one_qubit_and_readout_errors_are_those_of_the_profile(runs):
    one = np.concatenate([(f.one_qubit[:, 0] - t.one_qubit_error[f.qubits]) / f.one_qubit_error for _, _, f, t in runs])
    read = np.mean([f.readout[:, 0] - t.readout_error[f.qubits] for _, _, f, t in runs])
    assert abs(one.mean()) < 4 / np.sqrt(one.size) + 0.05  # few failures a qubit: the estimate is skewed a little
    shots = 4000 * 105 * 6
    assert abs(read) < 4 * np.sqrt(0.01 / shots)


def test_the_same_seed_gives_the_same_counts_and_another_does_not(tmp_path):
    (tmp_path / "mine.toml").write_text(PROFILE)
    first, again, other = (measured(f"synthetic:{tmp_path / 'mine.toml'}", seed)[1] for seed in (1, 1, 2))
    assert first == again
    for one, two, three in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one.outcomes, two.outcomes)
        assert (one.outcomes != three.outcomes).any()


def test_it_needs_neither_qiskit_nor_aer():
    code = "import sys, qthreshold.backends.synthetic; print([m for m in ('qiskit', 'qiskit_aer') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.strip() == "[]"


def test_crosstalk_between_pairs_that_run_together_is_refused():
    with open_backend("synthetic:crosstalk-12") as backend:
        blocks = dict.fromkeys(NATIVE_UNITARY, CNOT)
        backend.check(make_plan(backend.device, load_recipe("quick"), 1, blocks))
        with pytest.raises(InputError, match="exact or aer"):
            backend.check(make_plan(backend.device, small_recipe(spacing=0), 1, blocks))

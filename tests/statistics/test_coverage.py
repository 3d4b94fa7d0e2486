"""Does the reported interval of the device mean hold the truth as often as it says?"""

import numpy as np
import pytest

from qthreshold.backends.exact import ExactBackend
from qthreshold.circuits.native import CNOT, NATIVE_UNITARY
from qthreshold.decays import make_decays
from qthreshold.fits import make_fits
from qthreshold.metrics import make_metrics
from qthreshold.plan import make_plan, seed_rng
from qthreshold.ticket import layer_tickets
from qthreshold.workflow import load_recipe

PROFILE = """
schema = "qthreshold/profile/1"
name = "line-21"
seed = 21
[topology]
kind = "line"
qubits = 21
[qubits]
t1 = { median = 150e-6, spread = 0.3 }
t2 = { median = 120e-6, spread = 0.3 }
pulse_error = { median = 3e-4, spread = 0.5 }
over_rotation = { median = 0.01, spread = 0.5 }
p1_given_0 = 0.01
p0_given_1 = 0.02
[pairs]
error = { median = 3e-3, spread = 0.5 }
coherent = { ZZ = { median = 0.03, spread = 0.5 }, IZ = 0.01 }
"""

SEEDS = 400


@pytest.mark.slow
def test_the_true_mean_lies_inside_the_interval_in_93_percent_of_seeds_of_quick_on_20_pairs(tmp_path):
    file = tmp_path / "line-21.toml"
    file.write_text(PROFILE)
    recipe = load_recipe("quick")
    inside, pulls = 0, []
    with ExactBackend(str(file)) as backend:
        truth = backend.truth("cnot").cnot_error.mean()
        for seed in range(SEEDS):
            plan = make_plan(backend.device, recipe, seed, dict.fromkeys(NATIVE_UNITARY, CNOT))
            assert len(plan.edges) == 20
            counts = [backend.collect(plan, t, lambda _: None) for t in layer_tickets(plan, backend.spec)]
            fits = make_fits(make_decays(plan, backend.device, counts), 0.95)
            mean = make_metrics(backend.device, fits, recipe.criteria, seed_rng(seed, 3)).mean
            inside += mean.low <= truth <= mean.high
            pulls.append((mean.best - truth) / (mean.high - mean.low) * 2 * 1.96)
    print(f"inside: {inside} of {SEEDS}; mean pull {np.mean(pulls):+.2f}, spread {np.std(pulls):.2f}")
    assert inside >= 0.93 * SEEDS
    assert abs(np.mean(pulls)) < 4 / np.sqrt(SEEDS)  # four standard errors of the mean of the pulls: no bias

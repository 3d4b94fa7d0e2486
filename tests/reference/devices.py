"""Small devices, recipes and plans for tests."""

import numpy as np

from qthreshold.circuits import native
from qthreshold.device import build_device
from qthreshold.plan import make_plan
from qthreshold.recipe import Recipe


def device_of(directed, gate, n_qubits, **changes):
    """A device with plain values; ``gate`` is one name for all pairs, or a list."""
    pairs = np.array(directed, dtype=np.int64).reshape(-1, 2)
    e, n = len(pairs), n_qubits
    values = {
        "name": "small", "source": "test", "n_qubits": n, "directed": pairs, "gate": [gate] * e if isinstance(gate, str) else list(gate),
        "edge_error": np.full(e, 5e-3), "edge_duration": np.full(e, 1e-7), "qubit_error": np.full(n, 5e-4), "readout_error": np.full(n, 0.02),
        "pulse_duration": np.full(n, 3e-8), "readout_duration": np.full(n, 1e-6), "t1": np.full(n, 1e-4), "t2": np.full(n, 1e-4),
    }  # fmt: skip
    return build_device(**(values | changes))


def line_device(gate, n_qubits=5, **changes):
    """A line whose native directions alternate; ``mixed`` puts another gate on every pair."""
    pairs = [(i, i + 1) if i % 2 == 0 else (i + 1, i) for i in range(n_qubits - 1)]
    names = [native_name for native_name, _ in zip(("cz", "ecr", "rzz", "cx") * n_qubits, pairs, strict=False)] if gate == "mixed" else gate
    return device_of(pairs, names, n_qubits, **changes)


def small_recipe(*, readout=None, one_qubit=None, **two_qubit):
    """A few short circuits of every kind."""
    return Recipe.model_validate({
        "schema": "qthreshold/recipe/1", "name": "small", "readout": {"patterns": 2, "shots": 20} | (readout or {}),
        "one_qubit": {"lengths": [0, 1, 5], "sequences": 4, "shots": 20} | (one_qubit or {}),
        "two_qubit": {"lengths": [0, 1, 3], "sequences": 4, "shots": 20, "spacing": 0} | two_qubit,
    })  # fmt: skip


def small_plan(device, recipe=None, seed=3):
    """A plan of a device."""
    recipe = recipe or small_recipe()
    return make_plan(device, recipe, seed, {g: native.block_element(recipe.two_qubit.gate, g) for g in native.NATIVE_UNITARY})

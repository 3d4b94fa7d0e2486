"""Speed of planning and of circuit construction: the default recipe on a 133-qubit device."""

from collections import deque

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from qthreshold.backends.profiles import SimulatedDevice, build, load_profile
from qthreshold.circuits import native
from qthreshold.circuits.build import build_circuits
from qthreshold.datafiles import load_named
from qthreshold.plan import TWO_QUBIT, Plan, make_plan
from qthreshold.recipe import Recipe

BLOCKS = {g: native.block_element("cnot", g) for g in native.NATIVE_UNITARY}


@pytest.fixture(scope="module")
def heron() -> SimulatedDevice:
    return build(load_profile("heron-133"))


@pytest.fixture(scope="module")
def plan(heron: SimulatedDevice) -> Plan:
    return make_plan(heron.device, load_named("circuits", "default", Recipe, "recipe"), 1, BLOCKS)


def test_plan(benchmark: BenchmarkFixture, heron: SimulatedDevice) -> None:
    """Draw every sequence of the run."""
    recipe = load_named("circuits", "default", Recipe, "recipe")
    benchmark.pedantic(make_plan, args=(heron.device, recipe, 1, BLOCKS), rounds=3)


def test_all_circuits(benchmark: BenchmarkFixture, heron: SimulatedDevice, plan: Plan) -> None:
    """Every wide native circuit of the run, one in memory at a time."""
    benchmark.pedantic(lambda: deque(build_circuits(plan, heron.device), maxlen=0), rounds=2)
    if benchmark.stats:
        benchmark.extra_info["circuits"] = plan.n_circuits


def test_gates(benchmark: BenchmarkFixture, heron: SimulatedDevice, plan: Plan) -> None:
    """Twelve of the longest wide circuits; microseconds per gate in ``extra_info``."""
    two = np.flatnonzero((plan.circuit_experiment == TWO_QUBIT) & (plan.circuit_length == plan.two_qubit_lengths[-1]))[:12].tolist()
    circuits = benchmark.pedantic(lambda: list(build_circuits(plan, heron.device, two)), rounds=5)
    gates = sum(len(c.data) for c in circuits)
    assert gates > 10_000
    if benchmark.stats:
        benchmark.extra_info["us_per_gate"] = benchmark.stats["median"] / gates * 1e6

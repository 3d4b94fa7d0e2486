"""Jobs for a provider: every circuit in one of them, none over a limit, and not more jobs than it takes."""

import datetime
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qthreshold.backends.profiles import build, load_profile
from qthreshold.circuits.native import NATIVE_UNITARY, block_element
from qthreshold.circuits.size import circuit_load
from qthreshold.datafiles import load_named, shipped
from qthreshold.limits import Limits
from qthreshold.plan import make_plan
from qthreshold.recipe import Recipe
from qthreshold.ticket import Load, Ticket, layer_tickets, provider_tickets
from reference.devices import device_of


def plan_of(device, recipe="quick", **changes):
    recipe = load_named("circuits", recipe, Recipe, "recipe").model_copy(update=changes)
    return make_plan(device, recipe, 3, {g: block_element("cnot", g) for g in NATIVE_UNITARY})


DEVICE = device_of([(0, 1), (1, 2), (2, 3)], "cz", 4)
PLAN = plan_of(DEVICE)


def limits(**most):
    return Limits(schema="qthreshold/limits/1", provider="test", checked=datetime.date(2026, 11, 24), source="-", **most)


@given(st.integers(1, 60), st.integers(1000, 30_000), st.integers(200_000, 400_000), st.integers(300, 2000), st.integers(1_000, 10_000))
def test_jobs_hold_every_circuit_once_and_keep_every_limit(circuits, executions, payload, gates, per_qubit):
    chosen = limits(circuits=circuits, executions=executions, payload_bytes=payload, two_qubit_gates=gates, instructions_per_qubit=per_qubit)
    load = circuit_load(PLAN, DEVICE, {})
    try:
        tickets = provider_tickets(PLAN, "x", load, chosen)
    except ValueError as error:
        too_large = str(error)
    else:
        too_large = ""
    alone = (load.two_qubit_gates > gates) | (load.control.max(axis=1) > per_qubit) | (PLAN.circuit_shots > executions)
    assert bool(too_large) == alone.any()
    if too_large:
        return
    np.testing.assert_array_equal(np.sort(np.concatenate([t.circuits for t in tickets])), np.arange(PLAN.n_circuits))
    assert [t.number for t in tickets] == list(range(len(tickets)))
    for t in tickets:
        shots = np.unique(PLAN.circuit_shots[t.circuits])
        assert shots.size == 1  # the present Sampler takes one number of shots a job
        assert len(t.circuits) <= circuits
        assert len(t.circuits) * shots[0] <= executions
        assert load.two_qubit_gates[t.circuits].sum() <= gates
        assert load.control[t.circuits].sum(axis=0).max() <= per_qubit
    # two neighbours of equal shots could not be one job
    for a, b in pairwise(tickets):
        both = np.concatenate([a.circuits, b.circuits[:1]])
        shots = PLAN.circuit_shots[both]
        if np.unique(shots).size == 1:
            size = np.ceil(load.instructions[both] * chosen.bytes_per_instruction) + chosen.bytes_per_circuit
            full = [
                len(both) > circuits, shots.sum() > executions, load.two_qubit_gates[both].sum() > gates, size.sum() > payload,
                2 * load.control[both].sum(axis=0).max() > per_qubit,  # halved when it does not fit
            ]  # fmt: skip
            assert any(full)


def test_a_circuit_that_no_job_can_hold_is_named_with_the_limit():
    load = circuit_load(PLAN, DEVICE, {})
    with pytest.raises(ValueError, match=r"circuit \d+ alone needs \d+ two qubit gates \(limit 1\) of test; take shorter lengths"):
        provider_tickets(PLAN, "x", load, limits(two_qubit_gates=1))
    with pytest.raises(ValueError, match=r"alone needs [\d,]+ instructions per qubit \(limit 3\)"):
        provider_tickets(PLAN, "x", load, limits(instructions_per_qubit=3))


def test_no_job_is_longer_than_the_provider_lets_one_run():
    load = circuit_load(PLAN, DEVICE, {})
    long = load.seconds.max()
    tickets = provider_tickets(PLAN, "x", load, limits(longest_job=10 * long + 5.0, job_overhead=5.0))
    assert len(tickets) > len(provider_tickets(PLAN, "x", load, limits()))
    assert all(load.seconds[t.circuits].sum() + 5.0 <= 10 * long + 5.0 for t in tickets)
    with pytest.raises(ValueError, match=r"alone needs 0\.\d+ seconds \(limit 0\.001\)"):
        provider_tickets(PLAN, "x", load, limits(longest_job=0.001, job_overhead=0.0))


def test_the_default_recipe_on_133_qubits_is_at_most_20_jobs_within_the_shipped_limits():
    device = build(load_profile("heron-133")).device
    plan = plan_of(device, "default")
    ibm = load_named("backends/limits", "ibm", Limits, "limits")
    load = circuit_load(plan, device, ibm.weights)
    tickets = provider_tickets(plan, "ibm:x", load, ibm)
    assert len(tickets) <= 20
    for t in tickets:
        assert plan.circuit_shots[t.circuits].sum() <= ibm.executions
        assert load.two_qubit_gates[t.circuits].sum() <= ibm.two_qubit_gates
        assert load.control[t.circuits].sum(axis=0).max() <= ibm.instructions_per_qubit


@pytest.mark.parametrize("name", ["ibm", "generic"])
def test_shipped_limits_are_dated_and_say_where_they_come_from(name):
    found = load_named("backends/limits", name, Limits, "limits")
    assert found.checked.year >= 2026
    assert found.source
    assert name in {p.stem for p in (shipped("backends") / "limits").glob("*.toml")}


def test_a_plan_without_circuits_needs_no_job():
    device = device_of([], [], 3)
    plan = plan_of(device.replace(qubit_status=("absent",) * 3, qubit_reason=("gone",) * 3))
    nothing = Load(instructions=np.zeros(0, int), two_qubit_gates=np.zeros(0, int), control=np.zeros((0, 3), int), seconds=np.zeros(0))
    assert provider_tickets(plan, "x", nothing, limits()) == layer_tickets(plan, "x") == []


@pytest.mark.parametrize("circuits", [[], [3, 3], [4, 2]])
def test_a_ticket_names_its_circuits_in_order(circuits):
    with pytest.raises(ValueError, match="circuits in increasing order"):
        Ticket(plan_id="p", backend="x", number=0, circuits=np.array(circuits, dtype=np.int64))

import dataclasses
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qthreshold.backends import evolve, exact, open_backend
from qthreshold.backends.exact import Chunks, ExactBackend, chances, simulate
from qthreshold.backends.noise import pair_channels
from qthreshold.backends.profiles import Profile, build, load_profile
from qthreshold.backends.twirl import protocol_limits, twisted, twisted_clifford
from qthreshold.circuits import native
from qthreshold.decays import make_decays
from qthreshold.errors import InputError
from qthreshold.fits import make_fits
from qthreshold.numerics import channels
from qthreshold.plan import ONE_QUBIT, TWO_QUBIT, Plan, make_plan
from qthreshold.store import RunDirectory
from qthreshold.ticket import layer_tickets
from qthreshold.workflow import load_recipe
from reference.aer_runs import GATES, profile_file, qubits_of, unsplit
from reference.devices import small_plan, small_recipe


def unit_chances(backend, plan, **sizes):
    """Probabilities of every unit of a plan, ``(U, 4)``, NaN where a unit has one qubit."""
    out = np.full((len(plan.unit_circuit), 4), np.nan)
    for ticket in layer_tickets(plan, backend.spec):
        chunks = Chunks(plan, ticket, backend.device, backend.noise, **sizes)
        for i, task in enumerate(chunks):
            found = chances(task)
            out[chunks.units[chunks.places(i)], : found.shape[1]] = found
    return out


def marginals(backend, plan):
    """The same from whole native circuits on Aer."""
    n, strings = backend.device.n_qubits, np.arange(2**backend.device.n_qubits)
    out = np.full((len(plan.unit_circuit), 4), np.nan)
    whole = unsplit(backend, plan)
    for unit, circuit in enumerate(plan.unit_circuit):
        qubits = qubits_of(backend, plan, unit)
        read = sum((strings >> q & 1) << k for k, q in enumerate(qubits))
        out[unit, : 2 ** len(qubits)] = np.bincount(read, weights=whole[circuit], minlength=2 ** len(qubits))
    assert n == 4
    return out


@settings(max_examples=12, deadline=None)
@given(
    gate=st.sampled_from(GATES), seed=st.integers(0, 10**6), over=st.floats(-0.2, 0.2), phase=st.floats(-0.2, 0.2), zz=st.floats(-0.3, 0.3),
    protocol=st.sampled_from(["padded", "plain"]), block=st.sampled_from(["cnot", "native"]), spacing=st.sampled_from([0, 1, "isolated"]),
)  # fmt: skip
def test_every_probability_is_that_of_the_native_circuits_on_aer(tmp_path_factory, gate, seed, over, phase, zz, protocol, block, spacing):
    folder = tmp_path_factory.mktemp("profile")
    backend = ExactBackend(profile_file(folder, gate, seed=seed, qubits=4, over=over, phase=phase, zz=zz))
    recipe = small_recipe(one_qubit={"lengths": [0, 3], "sequences": 2}, lengths=[0, 5], sequences=2, protocol=protocol, gate=block, spacing=spacing)
    plan = small_plan(backend.device, recipe, seed)
    np.testing.assert_allclose(unit_chances(backend, plan), marginals(backend, plan), rtol=0, atol=1e-10)


@pytest.mark.parametrize("gate", GATES)
def test_long_sequences_are_products_of_the_channels_of_their_elements(gate, tmp_path):
    """Longer than what is taken apart at once, and one pair at a time against many."""
    backend = ExactBackend(profile_file(tmp_path, gate))
    plan = small_plan(backend.device, small_recipe(one_qubit={"lengths": [7, 331], "sequences": 2}, lengths=[2, 257], sequences=2))
    found = unit_chances(backend, plan)
    np.testing.assert_allclose(unit_chances(backend, plan, units=1, room=(1, 64)), found, rtol=0, atol=1e-12)
    for unit in np.flatnonzero(plan.circuit_experiment[plan.unit_circuit] == TWO_QUBIT)[::7]:
        target = int(plan.unit_target[unit])
        pair = pair_channels(backend.device, backend.noise, target)
        state = np.isin(np.arange(16), [0, 3, 12, 15]).astype(float)
        for clifford, (p1, p2) in zip(*plan.sequences([unit]), strict=True):
            state = pair.paddings[p1] @ pair.elements(clifford) @ state
            state = pair.elements(native.CNOT) @ state if plan.circuit_arm[plan.unit_circuit[unit]] else state
            state = pair.paddings[p2] @ state
        state = pair.elements(plan.unit_final[unit]) @ state
        flips = [channels.readout_flip(backend.noise.p1_given_0[q], backend.noise.p0_given_1[q]) for q in backend.device.direction[target]]
        i, z1, z2, zz = (channels.tensor(*flips) @ state)[[0, 3, 12, 15]]
        wanted = np.array([i + z1 + z2 + zz, i - z1 + z2 - zz, i + z1 - z2 - zz, i - z1 - z2 + zz]) / 4
        np.testing.assert_allclose(found[unit], wanted, rtol=0, atol=1e-11)


@settings(max_examples=15, deadline=None)
@given(units=st.integers(1, 400), columns=st.integers(1, 200), steps=st.integers(2, 5000))
def test_counts_do_not_depend_on_how_the_work_is_cut(units, columns, steps):
    backend = ExactBackend("tiny-5")
    plan = small_plan(backend.device, small_recipe(one_qubit={"lengths": [1, 40], "sequences": 5}, lengths=[1, 20], sequences=3, spacing=1))
    for ticket in layer_tickets(plan, backend.spec):
        whole = backend.collect(plan, ticket, lambda _: None)
        chunks = Chunks(plan, ticket, backend.device, backend.noise, units, (columns, steps))
        for i, task in enumerate(chunks):
            np.testing.assert_array_equal(simulate(task), whole.outcomes[chunks.places(i)])


@pytest.mark.parametrize(("recipe", "experiment", "share"), [("quick", TWO_QUBIT, 0.25), ("default", TWO_QUBIT, 1.0), ("default", ONE_QUBIT, 0.25)])
def test_a_task_stays_within_the_memory_that_is_stated(recipe, experiment, share):
    simulated = build(load_profile("grid-2025"))
    plan = make_plan(simulated.device, load_recipe(recipe), 1, {g: native.block_element("cnot", g) for g in native.NATIVE_UNITARY})
    ticket = next(t for t in layer_tickets(plan, "x") if plan.circuit_experiment[t.circuits[0]] == experiment)
    units, room = exact.sizes(share * exact.TASK_MEMORY)
    task = Chunks(plan, ticket, simulated.device, simulated.noise, units, room)[0]
    tracemalloc.start()
    simulate(task)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.01 < peak / (share * exact.TASK_MEMORY) < 1


def test_counts_follow_their_probabilities():
    backend = ExactBackend("tiny-5")
    plan = small_plan(backend.device, small_recipe(one_qubit={"lengths": [1, 300], "sequences": 8}, lengths=[1, 30], sequences=24, shots=900))
    found = unit_chances(backend, plan)
    squares = freedom = 0.0
    for ticket in layer_tickets(plan, backend.spec):
        tallies = backend.collect(plan, ticket, lambda _: None)
        shots = plan.circuit_shots[plan.unit_circuit[tallies.units]]
        np.testing.assert_array_equal(tallies.outcomes.sum(axis=1), shots)
        wanted = shots[:, None] * np.nan_to_num(found[tallies.units])
        enough = (wanted > 5).all(axis=1)
        squares += ((tallies.outcomes - wanted)[enough] ** 2 / wanted[enough]).sum()
        freedom += 3 * enough.sum()
    assert freedom > 300
    assert abs(squares - freedom) < 4 * np.sqrt(2 * freedom)


def test_the_same_seed_gives_the_same_counts_and_no_two_pairs_share_theirs():
    backend = ExactBackend("ideal-36")
    plan = small_plan(backend.device, small_recipe(lengths=[1, 4], shots=500))
    ticket = next(t for t in layer_tickets(plan, backend.spec) if plan.circuit_experiment[t.circuits[0]] == TWO_QUBIT)
    one, two = (backend.collect(plan, ticket, lambda _: None) for _ in range(2))
    assert one == two
    noisy = ExactBackend("grid-105")
    plan = small_plan(noisy.device, small_recipe(lengths=[30, 60], sequences=8, shots=500))
    ticket = next(t for t in layer_tickets(plan, noisy.spec) if plan.circuit_experiment[t.circuits[0]] == TWO_QUBIT)
    rows = noisy.collect(plan, ticket, lambda _: None)
    assert len({r.tobytes() for r in rows.outcomes}) > 0.99 * len(rows.outcomes)


def test_errors_are_found_without_bias():
    with open_backend("exact:grid-105") as backend:
        recipe = small_recipe(
            one_qubit={"lengths": [1, 300, 900], "sequences": 8, "shots": 300}, lengths=[1, 10, 40], sequences=16, shots=300, spacing=1
        )
        plan = small_plan(backend.device, recipe)
        parts = [backend.collect(plan, t, lambda _: None) for t in layer_tickets(plan, backend.spec)]
        fits, truth = make_fits(make_decays(plan, backend.device, parts), 0.95), backend.truth("cnot")
    pull = (fits.cnot[:, 0] - truth.cnot_error[fits.edges]) / fits.cnot_error
    assert abs(pull.mean()) < 4 / np.sqrt(pull.size)
    assert 0.8 < pull.std() < 1.2
    one = (fits.one_qubit[:, 0] - truth.one_qubit_error[fits.qubits]) / fits.one_qubit_error
    assert abs(one.mean()) < 4 / np.sqrt(one.size) + 0.05


def test_a_hundred_thousand_cliffords_need_no_circuit_and_little_memory():
    with open_backend("exact:ions-56-1e-4") as backend:
        recipe = small_recipe(one_qubit={"lengths": [1, 100_000], "sequences": 2}, lengths=[1, 100_000], sequences=2, spacing="isolated")
        device = backend.device.replace(qubit_status=tuple("ok" if q < 3 else "absent" for q in range(56)))
        plan = small_plan(device, recipe)
        assert not plan.cliffords.size
        ticket = layer_tickets(plan, backend.spec)[-1]
        tallies = ExactBackend.collect(_with(backend, device), plan, ticket, lambda _: None)
    long = plan.circuit_length[plan.unit_circuit[tallies.units]] == 100_000
    assert long.any()
    share = tallies.outcomes[long] / tallies.outcomes[long].sum(axis=1, keepdims=True)
    assert abs(share.mean(axis=0) - 0.25).max() < 4 * np.sqrt(0.25 * 0.75 / (20 * long.sum()))  # nothing is left of the decay


def _with(backend, device):
    backend.device = device
    return backend


def test_a_task_that_lacks_units_of_a_target_is_refused():
    simulated = build(load_profile("tiny-5"))
    plan = small_plan(simulated.device, small_recipe(lengths=[1, 9], spacing=1))
    ticket = next(t for t in layer_tickets(plan, "x") if plan.circuit_experiment[t.circuits[0]] == TWO_QUBIT)
    task = next(t for t in Chunks(plan, ticket, simulated.device, simulated.noise) if len(t.targets) > 1)
    keep = ~((task.row == 0) & (task.length == 9))
    names = ("row", "length", "length_row", "arm", "start", "final", "shots")
    lacking = dataclasses.replace(task, **{n: getattr(task, n)[keep] for n in names})
    with pytest.raises(ValueError, match="every target"):
        chances(lacking)


def test_a_recipe_may_have_any_number_of_lengths():
    with open_backend("exact:tiny-5") as backend:
        lengths = list(range(1, 131))
        plan = small_plan(backend.device, small_recipe(lengths=lengths, sequences=2, shots=5, spacing=1))
        found = [backend.collect(plan, t, lambda _: None) for t in layer_tickets(plan, backend.spec)]
        assert make_decays(plan, backend.device, found).two_qubit_shots.shape == (2, 4, 130, 2)


def test_plans_that_hold_their_steps_are_refused():
    plan = RunDirectory(Path(__file__).parents[1] / "golden").read_record("plan-1.npz", Plan)
    simulated = build(load_profile("tiny-5"))
    with pytest.raises(ValueError, match="stored"):
        Chunks(plan, layer_tickets(plan, "x")[0], simulated.device, simulated.noise)


def test_channels_that_lose_the_trace_are_refused():
    leaky = np.eye(16)[None].copy()
    leaky[0, 0, 5] = 0.1
    with pytest.raises(ValueError, match="trace"):
        evolve.PairTables.of("cz", "cnot", True, np.broadcast_to(np.eye(4), (1, 2, 4, 4)), np.broadcast_to(np.eye(4), (1, 2, 4, 4)), leaky)


def test_an_unknown_profile_is_named():
    with pytest.raises(InputError, match="heron-133"):
        open_backend("exact:heron-13")


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("affine", [False, True])
def test_the_average_over_all_cliffords_factorises(gate, affine):
    values = {
        "schema": "qthreshold/profile/1", "name": "pair", "topology": {"kind": "line", "qubits": 2},
        "qubits": {"t1": 2e-6, "t2": 1e-6, "pulse_error": 1e-3, "over_rotation": 0.05, "phase_error": 0.02},
        "pairs": {"gate": gate, "error": 1e-2, "coherent": {"ZZ": 0.1, "XI": 0.05}},
    }  # fmt: skip
    simulated = build(Profile.model_validate(values))
    noisy = pair_channels(simulated.device, simulated.noise, 0)
    ideal = np.array([native.ideal_ptm(g) for g in range(0, 11520, 97)])
    assert len(ideal) == 119
    one = native.opcode_ptms(np.eye(4), np.eye(4))
    perfect = native.pair_ptms(gate, np.stack([one, one]), channels.unitary(native.NATIVE_UNITARY[gate]))
    np.testing.assert_allclose(perfect.elements(np.arange(0, 11520, 97)), ideal, atol=1e-12)
    every = np.arange(11520)
    wanted = twisted(perfect.elements(every), noisy.elements(every), np.full(11520, 1 / 11520), affine=affine)
    np.testing.assert_allclose(twisted_clifford(gate, noisy, affine=affine), wanted, atol=1e-12)


def test_limits_of_protocols_show_that_only_padding_finds_coherent_errors():
    simulated = build(load_profile("coherent-16"))
    padded, plain = (protocol_limits(simulated.device, simulated.noise, [0, 5], padded=p) for p in (True, False))
    for right, wrong in zip(padded, plain, strict=True):
        assert right.true_error == wrong.true_error > 1e-3
        assert abs(right.bias) < 0.005
        assert abs(wrong.bias) > 0.1
        assert 0 < right.p_int < right.p_ref < 1


def test_one_qubit_units_read_one_qubit():
    backend = ExactBackend("tiny-5")
    plan = small_plan(backend.device)
    for ticket in layer_tickets(plan, backend.spec):
        wide = plan.circuit_experiment[ticket.circuits[0]] == TWO_QUBIT
        outcomes = backend.collect(plan, ticket, lambda _: None).outcomes
        assert wide or not outcomes[:, 2:].any()
    assert ONE_QUBIT in plan.circuit_experiment

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit.library import CXGate
from qiskit.quantum_info import Operator, SuperOp, average_gate_fidelity
from qiskit_aer import AerSimulator

from qthreshold.backends import aer
from qthreshold.backends.aer import AerBackend, noise_model
from qthreshold.circuits import build, native
from qthreshold.counts import add_counts, unpack_bits
from qthreshold.errors import InputError
from qthreshold.plan import ONE_QUBIT, TWO_QUBIT
from qthreshold.pool import Pool
from qthreshold.ticket import layer_tickets
from reference.aer_runs import GATES, probabilities, profile_file, qubits_of, unsplit
from reference.devices import small_plan, small_recipe

EVERY_GATE = pytest.mark.parametrize("gate", GATES)


def backend_of(folder, gate="cz", pool=None, **values):
    return AerBackend(profile_file(folder, gate, **values), pool)


def joined(backend, plan):
    """Outcome probabilities of every wide circuit (bit q is qubit q), from the split and merged simulation."""
    n = backend.device.n_qubits
    out = np.ones((plan.n_circuits, 2**n))
    strings = np.arange(2**n)
    measured = np.zeros(plan.n_circuits, dtype=int)
    for ticket in layer_tickets(plan, backend.spec):
        units = ticket.units(plan)
        for target in np.unique(plan.unit_target[units]):
            mine = units[plan.unit_target[units] == target]
            task = backend.task(plan, ticket, int(target), mine)
            split = probabilities([aer.merged_circuit(m, task.n_qubits, measured=False) for m in aer.merged_channels(task)])
            for unit, p in zip(mine, split, strict=True):
                qubits = qubits_of(backend, plan, unit)
                local = sum((strings >> q & 1) << k for k, q in enumerate(qubits))
                out[plan.unit_circuit[unit]] *= p[local]
                measured[plan.unit_circuit[unit]] |= sum(1 << q for q in qubits)
    return out * ((strings & ~measured[:, None]) == 0)


@EVERY_GATE
@pytest.mark.parametrize("two_qubit", [{}, {"protocol": "plain", "gate": "native"}])
def test_split_and_merged_simulation_is_the_unsplit_noisy_run_of_the_native_circuits(gate, two_qubit, tmp_path):
    backend = backend_of(tmp_path, gate)
    recipe = small_recipe(one_qubit={"lengths": [1, 70], "sequences": 2}, **({"lengths": [1, 9], "sequences": 2} | two_qubit))
    plan = small_plan(backend.device, recipe)
    np.testing.assert_allclose(joined(backend, plan), unsplit(backend, plan), rtol=0, atol=1e-10)


@settings(max_examples=6)
@given(
    gate=st.sampled_from(GATES), seed=st.integers(0, 10**6), over=st.floats(-0.2, 0.2), phase=st.floats(-0.2, 0.2), zz=st.floats(-0.3, 0.3),
    protocol=st.sampled_from(["padded", "plain"]), spacing=st.sampled_from([0, 1, "isolated"]),
)  # fmt: skip
def test_split_equals_unsplit_for_random_noise(tmp_path_factory, gate, seed, over, phase, zz, protocol, spacing):
    backend = backend_of(tmp_path_factory.mktemp("profile"), gate, seed=seed, qubits=4, over=over, phase=phase, zz=zz)
    recipe = small_recipe(one_qubit={"lengths": [0, 3], "sequences": 2}, lengths=[0, 5], sequences=2, protocol=protocol, spacing=spacing)
    plan = small_plan(backend.device, recipe, seed)
    np.testing.assert_allclose(joined(backend, plan), unsplit(backend, plan), rtol=0, atol=1e-10)


def test_aers_own_readout_error_is_the_one_merged_into_the_last_channel(tmp_path):
    backend = backend_of(tmp_path)
    plan = small_plan(backend.device, small_recipe(readout={"shots": 40_000}))
    circuits = list(build.build_circuits(plan, backend.device, [0, 1]))
    simulator = AerSimulator(method="density_matrix", noise_model=noise_model(backend.device, backend.noise), max_parallel_threads=1)
    result = simulator.run(circuits, shots=40_000, seed_simulator=5).result()
    expected = joined(backend, plan)
    for c in (0, 1):
        seen = np.zeros(32)
        for key, count in result.data(c)["counts"].items():
            seen[int(key, 16)] = count
        spread = np.sqrt(40_000 * expected[c] + 1)
        assert (np.abs(seen - 40_000 * expected[c]) < 5.5 * spread).all()


@EVERY_GATE
@pytest.mark.parametrize("block", ["cnot", "native"])
def test_true_error_is_that_of_the_compiled_block_under_aers_noise_model(gate, block, tmp_path):
    backend = backend_of(tmp_path, gate, qubits=3)
    truth = backend.truth(block)
    model = noise_model(backend.device, backend.noise)
    simulator = AerSimulator(method="superop", noise_model=model, max_parallel_threads=1)
    for edge, (a, b) in enumerate(backend.device.direction.tolist()):
        word, n = native.block_word(block, gate), backend.device.n_qubits
        circuit = QuantumCircuit(n)
        for op in word:
            gate_of = [*build._ONE, build._TWO[gate]][op % 5 if op < native.NATIVE else 5]
            circuit.append(gate_of, [a, b] if op == native.NATIVE else [(a, b)[op // 5]])
        circuit.save_superop()
        whole = SuperOp(simulator.run(circuit).result().data(0)["superop"])
        ideal = QuantumCircuit(n)
        ideal.append(CXGate() if block == "cnot" else build._TWO[gate], [a, b])
        # the other qubits are untouched, so the process fidelity is that of the pair
        process = (average_gate_fidelity(whole, Operator(ideal)) * (2**n + 1) - 1) / 2**n
        assert truth.cnot_error[edge] == pytest.approx(4 / 5 * (1 - process), abs=1e-10)


def run_all(backend, plan, tickets=None):
    return add_counts(backend.collect(plan, t, lambda n: None) for t in (tickets or layer_tickets(plan, backend.spec)))


def test_same_seed_repeats_and_another_seed_differs(tmp_path):
    backend = backend_of(tmp_path)
    plan = small_plan(backend.device)
    assert run_all(backend, plan).id == run_all(backend_of(tmp_path), plan).id
    other = small_plan(backend.device, seed=4)
    assert run_all(backend, plan).count.tolist() != run_all(backend, other).count.tolist()


def test_counts_do_not_depend_on_the_number_of_workers(tmp_path):
    recipe = small_recipe(one_qubit={"sequences": 16}, lengths=[1, 3], sequences=16)
    one = backend_of(tmp_path)
    plan = small_plan(one.device, recipe)
    assert len(plan.unit_circuit) >= aer._FEW_UNITS  # else the second run would not start workers
    with Pool(2) as pool:
        two = backend_of(tmp_path, pool=pool)
        tickets = layer_tickets(plan, one.spec)
        chosen = [t for t in tickets if plan.circuit_experiment[t.circuits[0]] != TWO_QUBIT or t is tickets[-1]]
        assert run_all(one, plan, chosen).id == run_all(two, plan, chosen).id


def test_order_of_collection_does_not_matter(tmp_path):
    backend = backend_of(tmp_path)
    plan = small_plan(backend.device)
    tickets = layer_tickets(plan, backend.spec)
    assert run_all(backend, plan, tickets).id == run_all(backend, plan, tickets[::-1]).id


@pytest.mark.parametrize("lengths", [[0, 1, 3], "optimal"])
def test_every_circuit_gets_its_shots_and_unmeasured_qubits_read_zero(lengths, tmp_path):
    backend = backend_of(tmp_path)
    recipe = small_recipe(readout={"shots": 33}, one_qubit={"shots": 7}, lengths=lengths, shots=90, longest=40, sequences=8)
    plan = small_plan(backend.device, recipe)
    assert lengths != "optimal" or np.unique(plan.circuit_shots[plan.circuit_experiment == TWO_QUBIT]).size > 1
    counts = run_all(backend, plan)
    np.testing.assert_array_equal(np.bincount(counts.circuit, counts.count), plan.circuit_shots)
    bits = unpack_bits(counts.bits, 5)
    for c in range(plan.n_circuits):
        rest = sorted(set(range(5)) - {q for u in np.flatnonzero(plan.unit_circuit == c) for q in qubits_of(backend, plan, u)})
        assert not bits[counts.circuit == c][:, rest].any()


def test_progress_counts_every_unit_once(tmp_path):
    backend = backend_of(tmp_path)
    plan = small_plan(backend.device)
    seen = []
    for ticket in layer_tickets(plan, backend.spec):
        backend.collect(plan, ticket, seen.append)
    assert sum(seen) == len(plan.unit_circuit)


def test_joined_counts_have_the_marginals_of_each_target(tmp_path):
    backend = backend_of(tmp_path)
    plan = small_plan(backend.device)
    for ticket in layer_tickets(plan, backend.spec):
        counts = backend.collect(plan, ticket, lambda n: None)
        bits = unpack_bits(counts.bits, 5).astype(int)
        units = ticket.units(plan)
        for target in np.unique(plan.unit_target[units]):
            mine = units[plan.unit_target[units] == target]
            rows = aer.simulate(backend.task(plan, ticket, int(target), mine))
            for unit, row in zip(mine, rows, strict=True):
                here = counts.circuit == plan.unit_circuit[unit]
                local = sum(bits[here][:, q] << k for k, q in enumerate(qubits_of(backend, plan, unit)))
                np.testing.assert_array_equal(np.bincount(local, counts.count[here], minlength=len(row)), row)


def test_targets_of_one_circuit_are_independent(tmp_path):
    # equal streams would make the outcomes of qubits with equal noise equal, or correlate them in order
    path = tmp_path / "same.toml"
    path.write_text(
        'schema = "qthreshold/profile/1"\nname = "same"\n[topology]\nkind = "pairs"\nqubits = 6\npairs = []\n'
        "[qubits]\np1_given_0 = 0.3\np0_given_1 = 0.3\n"
    )
    backend = AerBackend(str(path))
    plan = small_plan(backend.device, small_recipe(readout={"shots": 4000}))
    ticket = layer_tickets(plan, backend.spec)[0]
    counts = backend.collect(plan, ticket, lambda n: None)
    here = counts.circuit == 0
    bits = np.repeat(unpack_bits(counts.bits, 6)[here], counts.count[here], axis=0).astype(int)
    units = np.flatnonzero(plan.unit_circuit == 0)
    wrong = bits ^ plan.unit_expected[units]
    assert len(set(wrong.sum(axis=0).tolist())) > 1
    off = np.corrcoef(wrong.T)[np.triu_indices(6, 1)]
    assert (np.abs(off) < 5 / np.sqrt(4000)).all()


def test_tickets_of_equal_size_get_different_streams(tmp_path):
    backend = backend_of(tmp_path)
    plan = small_plan(backend.device)
    ticket = layer_tickets(plan, backend.spec)[0]
    again = ticket.replace(number=99)
    assert backend.collect(plan, ticket, lambda n: None).id != backend.collect(plan, again, lambda n: None).id


def test_long_sequences_of_one_and_two_qubits_lose_their_signal_not_their_normalisation(tmp_path):
    backend = backend_of(tmp_path, qubits=2)
    recipe = small_recipe(one_qubit={"lengths": [1, 3000], "sequences": 2}, lengths=[1, 1500], sequences=2)
    p = joined(backend, small_plan(backend.device, recipe))
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-9)


def test_noiseless_profile_always_gives_the_expected_outcome():
    backend = AerBackend("ideal-36")
    noise = backend.noise.replace(
        sx=np.tile(np.eye(4), (36, 1, 1)), x=np.tile(np.eye(4), (36, 1, 1)), native=np.tile(np.eye(16), (len(backend.device.edges), 1, 1)),
        p1_given_0=np.zeros(36), p0_given_1=np.zeros(36),
    )  # fmt: skip
    backend.noise = noise
    plan = small_plan(backend.device, small_recipe(one_qubit={"lengths": [0, 20], "sequences": 2}, lengths=[0, 20], sequences=2, shots=5))
    for ticket in layer_tickets(plan, backend.spec)[:3]:
        counts = backend.collect(plan, ticket, lambda n: None)
        bits = unpack_bits(counts.bits, 36)
        assert len(counts.circuit) == len(ticket.circuits)  # one string each
        for row, c in enumerate(counts.circuit):
            for u in np.flatnonzero(plan.unit_circuit == c):
                for k, q in enumerate(qubits_of(backend, plan, u)):
                    assert bits[row, q] == plan.unit_expected[u] >> k & 1
    assert {ONE_QUBIT, TWO_QUBIT} <= set(plan.circuit_experiment.tolist())


def test_unknown_profile_names_the_near_ones():
    with pytest.raises(InputError, match="did you mean tiny-5"):
        AerBackend("tiny5")

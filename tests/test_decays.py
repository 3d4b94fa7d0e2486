import numpy as np
import pytest

from qthreshold.counts import add_counts, pack_outcomes
from qthreshold.decays import DecayTable, make_decays
from qthreshold.plan import ONE_QUBIT, READOUT, TWO_QUBIT
from qthreshold.tallies import tally
from reference.devices import device_of, line_device, small_plan, small_recipe


def random_counts(plan, device, seed, circuits=None, agree=0.7):
    """Outcomes that agree with the expected ones bit by bit with chance ``agree``."""
    rng = np.random.default_rng(seed)
    rows, bits = [], []
    for c in range(plan.n_circuits) if circuits is None else circuits:
        for _ in range(int(plan.circuit_shots[c])):
            string = np.zeros(device.n_qubits, dtype=np.uint8)
            for u in np.flatnonzero(plan.unit_circuit == c):
                for k, q in enumerate(qubits_of(plan, device, u)):
                    string[q] = (int(plan.unit_expected[u]) >> k & 1) ^ (rng.random() > agree)
            rows.append(c)
            bits.append(string)
    return pack_outcomes(plan.id, device.n_qubits, rows, np.array(bits).reshape(-1, device.n_qubits)), list(zip(rows, bits, strict=True))


def qubits_of(plan, device, unit):
    target = plan.unit_target[unit]
    two = plan.circuit_experiment[plan.unit_circuit[unit]] == TWO_QUBIT
    return device.direction[target].tolist() if two else [int(target)]


def slow_table(plan, device, shots):
    """{(experiment, arm, target, length or prepared bit, sample): [survived, shots]} shot by shot."""
    out = {}
    for c, string in shots:
        for u in np.flatnonzero(plan.unit_circuit == c):
            expected = int(plan.unit_expected[u])
            hit = all(string[q] == (expected >> k & 1) for k, q in enumerate(qubits_of(plan, device, u)))
            experiment = int(plan.circuit_experiment[c])
            place = (expected, 0) if experiment == READOUT else (int(plan.circuit_length[c]), int(plan.circuit_sample[c]))
            cell = out.setdefault((experiment, int(plan.circuit_arm[c]), int(plan.unit_target[u]), *place), [0, 0])
            cell[0] += hit
            cell[1] += 1
    return out


def as_table(d):
    """The record in the form of :func:`slow_table`."""
    out = {}
    for i, q in enumerate(d.qubits.tolist()):
        for bit in (0, 1):
            out[READOUT, 0, q, bit, 0] = [int(d.readout_shots[i, bit] - d.readout_wrong[i, bit]), int(d.readout_shots[i, bit])]
        for j, m in enumerate(d.one_qubit_lengths.tolist()):
            for k in range(d.one_qubit_shots.shape[2]):
                out[ONE_QUBIT, 0, q, m, k] = [int(d.one_qubit_survived[i, j, k]), int(d.one_qubit_shots[i, j, k])]
    for arm in (0, 1):
        for i, e in enumerate(d.edges.tolist()):
            for j, m in enumerate(d.two_qubit_lengths.tolist()):
                for k in range(d.two_qubit_shots.shape[3]):
                    out[TWO_QUBIT, arm, e, m, k] = [int(d.two_qubit_survived[arm, i, j, k]), int(d.two_qubit_shots[arm, i, j, k])]
    return {key: cell for key, cell in out.items() if cell[1]}


@pytest.mark.parametrize("spacing", [0, 1, "isolated"])
def test_decays_agree_with_counting_shot_by_shot(spacing):
    device = line_device("mixed", 9, absent_qubits={3: "gone"})  # rows and targets differ, two bytes per string
    plan = small_plan(device, small_recipe(spacing=spacing))
    assert plan.edges.tolist() != list(range(len(plan.edges)))
    counts, shots = random_counts(plan, device, 1)
    assert as_table(make_decays(plan, device, counts)) == slow_table(plan, device, shots)


def test_all_expected_outcomes_survive_whatever_the_native_direction():
    device = line_device("ecr")
    plan = small_plan(device)
    decays = make_decays(plan, device, random_counts(plan, device, 1, agree=1.0)[0])
    np.testing.assert_array_equal(decays.two_qubit_survived, decays.two_qubit_shots)
    np.testing.assert_array_equal(decays.one_qubit_survived, decays.one_qubit_shots)
    assert (decays.two_qubit_shots == 20).all()
    assert not decays.readout_wrong.any()
    assert (decays.readout_shots == 20).all()


def test_readout_columns_are_the_prepared_bit():
    device = device_of([], [], 2)
    plan = small_plan(device)
    bits = np.zeros((2, 2), dtype=np.uint8)  # every read gives 0: wrong only after preparing 1
    decays = make_decays(plan, device, pack_outcomes(plan.id, 2, [0, 1], bits))
    assert decays.readout_wrong.tolist() == [[0, 1], [0, 1]]
    assert decays.readout_shots.tolist() == [[1, 1], [1, 1]]


def test_circuits_without_counts_leave_empty_cells():
    device = line_device("cz")
    plan = small_plan(device)
    some = [c for c in range(plan.n_circuits) if c % 3]
    counts, shots = random_counts(plan, device, 2, circuits=some)
    decays = make_decays(plan, device, counts)
    assert as_table(decays) == slow_table(plan, device, shots)
    assert (decays.two_qubit_shots == 0).any()
    assert decays.two_qubit_shots.shape == (2, 4, 3, 4)


def test_decays_of_added_counts_are_the_sum():
    device = line_device("cz", 3)
    plan = small_plan(device)
    parts = [random_counts(plan, device, s)[0] for s in (3, 4)]
    one, two, both = (make_decays(plan, device, c) for c in (*parts, add_counts(parts)))
    assert make_decays(plan, device, parts) == both
    assert make_decays(plan, device, [tally(plan, device, p) for p in parts]) == both
    np.testing.assert_array_equal(both.two_qubit_survived, one.two_qubit_survived + two.two_qubit_survived)
    np.testing.assert_array_equal(both.readout_wrong, one.readout_wrong + two.readout_wrong)


def test_expected_outcomes_are_those_of_the_plan_where_something_was_counted():
    device = line_device("cz")
    plan = small_plan(device)
    decays = make_decays(plan, device, random_counts(plan, device, 6)[0])
    for unit in range(len(plan.unit_circuit)):
        c = plan.unit_circuit[unit]
        i, k = plan.circuit_length[c], plan.circuit_sample[c]
        if plan.circuit_experiment[c] == ONE_QUBIT:
            cell = np.searchsorted(plan.qubits, plan.unit_target[unit]), np.searchsorted(plan.one_qubit_lengths, i), k
            assert decays.one_qubit_expected[cell] == plan.unit_expected[unit]
        elif plan.circuit_experiment[c] == TWO_QUBIT:
            cell = plan.circuit_arm[c], np.searchsorted(plan.edges, plan.unit_target[unit]), np.searchsorted(plan.two_qubit_lengths, i), k
            assert decays.two_qubit_expected[cell] == plan.unit_expected[unit]
    assert set(decays.two_qubit_expected.ravel()) == {0, 1, 2, 3}


def test_a_device_without_pairs_has_an_empty_pair_table():
    device = device_of([], [], 2)
    plan = small_plan(device)
    decays = make_decays(plan, device, random_counts(plan, device, 5)[0])
    assert decays.two_qubit_shots.shape[:2] == (2, 0)
    assert decays.one_qubit_shots.sum() > 0


def test_no_counts_at_all_give_empty_cells():
    device = line_device("cz")
    plan = small_plan(device)
    decays = make_decays(plan, device, pack_outcomes(plan.id, 5, [], np.zeros((0, 5))))
    assert not decays.one_qubit_shots.any()
    assert not decays.two_qubit_shots.any()


def test_counts_of_another_plan_are_refused():
    device = line_device("cz")
    plan, other = small_plan(device), small_plan(device, seed=4)
    with pytest.raises(ValueError, match=f"{other.id[:12]} do not belong to plan {plan.id[:12]}"):
        make_decays(plan, device, pack_outcomes(other.id, 5, [], np.zeros((0, 5))))


def test_expected_outcomes_of_another_shape_are_refused():
    device = line_device("cz")
    plan = small_plan(device)
    decays = make_decays(plan, device, [])
    with pytest.raises(ValueError, match=r"one_qubit: expected outcomes \(1, 1\) and shots \(5, "):
        decays.replace(one_qubit_expected=np.zeros((1, 1), np.uint8))


def test_more_survivors_than_shots_are_refused():
    kinds = ("survived", "shots", "lengths", "expected")
    values = {f"{name}_{kind}": np.zeros((1, 1, 1), int) for name in ("one_qubit", "two_qubit") for kind in kinds}
    values |= {"readout_wrong": np.ones((1, 2), int), "readout_shots": np.zeros((1, 2), int)}
    with pytest.raises(ValueError, match="readout: counts must lie between 0 and shots"):
        DecayTable(plan_id="p", qubits=np.zeros(1, int), edges=np.zeros(1, int), **values)

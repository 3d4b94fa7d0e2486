import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qthreshold.backends.profiles import build, load_profile
from qthreshold.circuits import native
from qthreshold.datafiles import load_named
from qthreshold.numerics import cliffords
from qthreshold.plan import INTERLEAVED, ONE_QUBIT, PADDING_CODES, PADDING_PAULI, READOUT, REFERENCE, TWO_QUBIT, make_plan, plan_cost
from qthreshold.recipe import Recipe
from qthreshold.ticket import layer_tickets
from reference.devices import device_of, line_device, small_plan, small_recipe
from reference.graphs import distance

DEVICE = line_device("mixed")
PLAN = small_plan(DEVICE)


def circuits_of(plan, experiment):
    return np.flatnonzero(plan.circuit_experiment == experiment)


def units_of(plan, circuit):
    return np.flatnonzero(plan.unit_circuit == circuit)


def sequence(plan, unit):
    start, m = plan.unit_start[unit], plan.circuit_length[plan.unit_circuit[unit]]
    return plan.cliffords[start : start + m], plan.paddings[start : start + m]


def padding_elements():
    """Two-qubit Clifford of each of the 36 padding layers."""
    codes = PADDING_PAULI
    return cliffords.pauli([a & 1 | (b & 1) << 1 | a >> 1 << 2 | b >> 1 << 3 for b in codes for a in codes], 2)


def test_same_inputs_same_plan_and_another_seed_another():
    assert small_plan(DEVICE).id == PLAN.id
    assert small_plan(DEVICE, seed=4).id != PLAN.id
    assert small_plan(DEVICE, small_recipe(shots=21)).id != PLAN.id
    assert small_plan(DEVICE.replace(name="other")).id != PLAN.id


@pytest.mark.parametrize("protocol", ["padded", "plain"])
@pytest.mark.parametrize("block", ["cnot", "native"])
def test_every_sequence_ends_in_its_expected_outcome(protocol, block):
    plan = small_plan(DEVICE, small_recipe(protocol=protocol, gate=block))
    pads, signs = padding_elements(), set()
    for u in range(len(plan.unit_circuit)):
        c = plan.unit_circuit[u]
        n = 2 if plan.circuit_experiment[c] == TWO_QUBIT else 1
        total = cliffords.pauli(0, n)
        for clifford, (p1, p2) in zip(*sequence(plan, u), strict=True):
            steps = [clifford]
            if n == 2:
                interleaved = plan.circuit_arm[c] == INTERLEAVED
                middle = [native.block_element(block, DEVICE.gate[plan.unit_target[u]])] if interleaved else []
                steps += [pads[p1], *middle, pads[p2]] if protocol == "padded" else middle
            for step in steps:
                total = cliffords.compose(total, step, n)
        total = cliffords.compose(total, plan.unit_final[u], n)
        outcomes = [total == cliffords.pauli(plan.unit_expected[u] | z << n, n) for z in range(2**n)]
        assert sum(outcomes) == 1  # a Pauli whose X part is the expected bit string
        signs.add((n, outcomes.index(True)))
    assert {s for m, s in signs if m == 2} == {0, 1, 2, 3}  # the Z part is random too


def test_outcomes_are_balanced_over_the_sequences_of_a_length():
    plan = small_plan(DEVICE, small_recipe(one_qubit={"sequences": 4}, sequences=8))
    for experiment, outcomes, sequences in ((ONE_QUBIT, 2, 4), (TWO_QUBIT, 4, 8)):
        table = {}
        for c in circuits_of(plan, experiment):
            for u in units_of(plan, c):
                key = (plan.unit_target[u], plan.circuit_arm[c], plan.circuit_length[c])
                table.setdefault(key, []).append(plan.unit_expected[u])
        for seen in table.values():
            assert np.bincount(seen, minlength=outcomes).tolist() == [sequences // outcomes] * outcomes


def test_outcomes_are_those_of_the_other_arm_and_of_no_other_pair_or_length():
    plan = small_plan(DEVICE, small_recipe(sequences=8))
    rows = {}
    for c in circuits_of(plan, TWO_QUBIT):
        for u in units_of(plan, c):
            rows.setdefault((plan.unit_target[u], plan.circuit_length[c]), {}).setdefault(int(plan.circuit_arm[c]), []).append(
                (plan.circuit_sample[c], int(plan.unit_expected[u]))
            )
    arms = [(tuple(sorted(r[REFERENCE])), tuple(sorted(r[INTERLEAVED]))) for r in rows.values()]
    assert all(reference == interleaved for reference, interleaved in arms)
    assert len({reference for reference, _ in arms}) > len(arms) / 2


def test_arms_share_their_cliffords_and_paddings():
    halves = {}
    for c in circuits_of(PLAN, TWO_QUBIT):
        for u in units_of(PLAN, c):
            halves.setdefault((PLAN.unit_target[u], PLAN.circuit_length[c], PLAN.circuit_sample[c]), {})[int(PLAN.circuit_arm[c])] = u
    assert all(set(h) == {REFERENCE, INTERLEAVED} for h in halves.values())
    for half in halves.values():
        for left, right in zip(*(sequence(PLAN, u) for u in half.values()), strict=True):
            np.testing.assert_array_equal(left, right)


def test_arms_are_neighbours_in_execution_order_and_take_turns_in_going_first():
    two = circuits_of(PLAN, TWO_QUBIT)
    first = []
    for c, d in two.reshape(-1, 2):
        assert d == c + 1
        assert {int(PLAN.circuit_arm[c]), int(PLAN.circuit_arm[d])} == {REFERENCE, INTERLEAVED}
        for name in ("layer", "length", "sample"):
            assert getattr(PLAN, f"circuit_{name}")[c] == getattr(PLAN, f"circuit_{name}")[d]
        first.append(int(PLAN.circuit_arm[c]))
    assert first.count(REFERENCE) == first.count(INTERLEAVED)
    for m in PLAN.two_qubit_lengths:  # balanced within each length too, or drift looks like an error
        here = [a for a, c in zip(first, two[::2], strict=True) if PLAN.circuit_length[c] == m]
        assert here.count(REFERENCE) == here.count(INTERLEAVED)


@pytest.mark.parametrize("experiment", [ONE_QUBIT, TWO_QUBIT])
def test_sequences_differ_between_targets_lengths_and_samples(experiment):
    plan = small_plan(DEVICE, small_recipe(one_qubit={"lengths": [12, 20]}, lengths=[6, 9]))
    seen, prefixes = set(), set()
    for c in circuits_of(plan, experiment):
        if plan.circuit_arm[c] == REFERENCE:
            for u in units_of(plan, c):
                drawn, _ = sequence(plan, u)
                seen.add(drawn.tobytes())
                prefixes.add(drawn[:6].tobytes())
    targets = len(plan.qubits) if experiment == ONE_QUBIT else len(plan.edges)
    assert len(seen) == targets * 2 * 4
    assert len(prefixes) == targets * 2 * 4 or experiment == ONE_QUBIT  # 24^6 leaves room for chance, 11520^6 does not


def test_two_seeds_share_no_sequence():
    other = small_plan(DEVICE, seed=4)
    long = [c for c in circuits_of(PLAN, TWO_QUBIT) if PLAN.circuit_length[c] == 3]
    mine = {sequence(PLAN, u)[0].tobytes() for c in long for u in units_of(PLAN, c)}
    theirs = {sequence(other, u)[0].tobytes() for c in long for u in units_of(other, c)}
    assert not mine & theirs


def test_cliffords_and_paddings_are_uniform():
    plan = small_plan(DEVICE, small_recipe(lengths=[1, 1500], sequences=8))
    two = circuits_of(plan, TWO_QUBIT)
    start = plan.unit_start[np.isin(plan.unit_circuit, two)].min()
    drawn, pads = plan.cliffords[start:], plan.paddings[start:]
    per = np.bincount(drawn // 16, minlength=720)
    assert abs((((per - len(drawn) / 720) ** 2) / (len(drawn) / 720)).sum() - 719) < 5 * np.sqrt(2 * 719)
    for layer in pads.T:
        for code in (layer % 6, layer // 6):
            chance = np.bincount(PADDING_CODES, minlength=6) / 8
            assert (np.abs(np.bincount(code, minlength=6) - len(code) * chance) < 5 * np.sqrt(len(code) * chance)).all()
    # P1 and P2, and both qubits, are independent
    for a, b in ((pads[:, 0] % 6, pads[:, 0] // 6), (pads[:, 0] % 6, pads[:, 1] % 6)):
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(len(a))


def test_paddings_draw_every_pauli_with_equal_chance_and_both_pulse_signs():
    assert np.bincount(PADDING_PAULI[PADDING_CODES], minlength=4).tolist() == [2, 2, 2, 2]
    assert {2, 3, 4, 5} <= set(PADDING_CODES.tolist())


def test_plain_protocol_draws_no_paddings():
    assert not small_plan(DEVICE, small_recipe(protocol="plain")).paddings.any()


def test_readout_patterns_come_with_their_complements():
    plan = small_plan(DEVICE, small_recipe(readout={"patterns": 6}))
    rows = np.array([plan.unit_expected[units_of(plan, c)] for c in circuits_of(plan, READOUT)])
    assert rows.shape == (6, 5)
    np.testing.assert_array_equal(rows[1::2], 1 - rows[::2])
    assert len({r.tobytes() for r in rows}) > 2


@settings(max_examples=20)
@given(st.sampled_from([0, 1, 2, "isolated"]), st.integers(2, 6))
def test_circuits_keep_their_targets_apart(spacing, n):
    device = line_device("cz", n)
    plan = small_plan(device, small_recipe(one_qubit={"spacing": spacing}, spacing=spacing))
    for c in range(plan.n_circuits):
        if plan.circuit_experiment[c] == READOUT:
            continue
        targets = plan.unit_target[units_of(plan, c)]
        groups = device.edges[targets] if plan.circuit_experiment[c] == TWO_QUBIT else targets[:, None]
        assert spacing != "isolated" or len(groups) == 1
        for i in range(len(groups)):
            for j in range(i):
                assert distance(n, device.edges.tolist(), groups[i], groups[j]) > (0 if spacing == "isolated" else spacing)


@pytest.mark.parametrize("spacing", [0, 1, "isolated"])
def test_every_target_is_measured_once_per_arm_length_and_sample(spacing):
    plan = small_plan(DEVICE, small_recipe(one_qubit={"spacing": spacing}, spacing=spacing))
    keys = [
        (plan.circuit_experiment[c], t, plan.circuit_arm[c], plan.circuit_length[c], plan.circuit_sample[c])
        for c, t in zip(plan.unit_circuit, plan.unit_target, strict=True)
    ]
    assert len(set(keys)) == len(keys) == 2 * 5 + 5 * 3 * 4 + 2 * 4 * 3 * 4


def test_a_device_without_pairs_gets_readout_and_one_qubit_circuits_only():
    plan = small_plan(device_of([], [], 3))
    assert set(plan.circuit_experiment.tolist()) == {READOUT, ONE_QUBIT}
    assert len(plan.edges) == plan.n_edges_usable == 0
    assert plan_cost(plan, device_of([], [], 3)).circuits == plan.n_circuits


def test_a_device_without_working_qubits_gets_an_empty_plan():
    device = device_of([(0, 1)], "cz", 2, absent_qubits={0: "x", 1: "x"})
    plan = small_plan(device)
    assert plan.n_circuits == 0
    assert layer_tickets(plan, "aer") == []
    assert plan_cost(plan, device).estimated_seconds == 0


def test_dense_device_measures_random_matchings_only():
    pairs = [(a, b) for b in range(12) for a in range(b)]
    device = device_of(pairs, "rzz", 12)
    plan = small_plan(device, small_recipe(pairs_per_qubit=3, spacing=1))
    assert plan.n_edges_usable == 66
    assert len(plan.edges) == 3 * 6
    assert (np.diff(plan.edges) > 0).all()
    assert np.bincount(device.edges[plan.edges].ravel()).tolist() == [3] * 12
    assert set(plan.circuit_layer[circuits_of(plan, TWO_QUBIT)].tolist()) == {0, 1, 2}
    for c in circuits_of(plan, TWO_QUBIT):
        used = device.edges[plan.unit_target[units_of(plan, c)]].ravel()
        assert sorted(used.tolist()) == list(range(12))
    others = small_plan(device, small_recipe(pairs_per_qubit=3), seed=9).edges
    assert not np.array_equal(others, plan.edges)


def test_dense_device_with_a_dead_qubit_matches_the_rest():
    pairs = [(a, b) for b in range(9) for a in range(b)]
    device = device_of(pairs, "rzz", 9, absent_qubits={4: "dead"})
    plan = small_plan(device, small_recipe(pairs_per_qubit=2))
    assert np.bincount(device.edges[plan.edges].ravel(), minlength=9).tolist() == [2, 2, 2, 2, 0, 2, 2, 2, 2]


def test_dense_device_isolated_takes_one_pair_at_a_time():
    pairs = [(a, b) for b in range(8) for a in range(b)]
    plan = small_plan(device_of(pairs, "rzz", 8), small_recipe(pairs_per_qubit=2, spacing="isolated"))
    assert all(len(units_of(plan, c)) == 1 for c in circuits_of(plan, TWO_QUBIT))
    assert len(plan.edges) == 8


def test_few_pairs_of_a_dense_device_are_all_measured():
    plan = small_plan(device_of([(0, 1), (0, 2), (1, 2)], "cz", 3), small_recipe(pairs_per_qubit=2))
    assert plan.edges.tolist() == [0, 1, 2]


def test_faulty_and_absent_targets_are_left_out():
    device = line_device("cz", 5, edge_error=[0.01, 0.6, 0.01, 0.01], absent_qubits={4: "gone"})
    plan = small_plan(device)
    assert plan.edges.tolist() == [0, 2]
    assert plan.qubits.tolist() == [0, 1, 2, 3]
    assert plan.n_edges_usable == 2


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_lengths_follow_the_reported_errors(scale):
    recipe = Recipe.model_validate({"schema": "qthreshold/recipe/1", "name": "x", "two_qubit": {"longest": 10**6}, "one_qubit": {"longest": 10**6}})
    make = lambda s: small_plan(line_device("cz", edge_error=np.full(4, 5e-3 * s), qubit_error=np.full(5, 5e-4 * s)), recipe)  # noqa: E731
    assert make(scale).two_qubit_lengths[-1] == pytest.approx(make(1.0).two_qubit_lengths[-1] / scale, rel=0.03, abs=1)
    assert make(1.0).two_qubit_lengths[-1] == pytest.approx(1 / (4 / 3 * (2.5 * 5e-3 + 6.5 * 5e-4)), rel=0.03)
    assert make(1.0).two_qubit_lengths[0] == 1


def test_lengths_are_not_capped_below_what_is_asked():
    plan = small_plan(line_device("cz"), small_recipe(lengths=[1, 20_000], sequences=2))
    assert plan.two_qubit_lengths.tolist() == [1, 20_000]


def test_longest_caps_lengths_from_reported_errors_only():
    recipe = Recipe.model_validate({"schema": "qthreshold/recipe/1", "name": "x", "two_qubit": {"longest": 50}})
    plan = small_plan(line_device("cz", edge_error=np.full(4, 1e-6), qubit_error=np.full(5, 1e-7)), recipe)
    assert plan.two_qubit_lengths.max() == 50


def test_terrible_or_unreported_errors_still_give_two_lengths():
    for error in (0.49, np.nan):
        plan = small_plan(line_device("cz", edge_error=np.full(4, error)), Recipe.model_validate({"schema": "qthreshold/recipe/1", "name": "x"}))
        assert len(plan.two_qubit_lengths) >= 2
        assert (np.diff(plan.two_qubit_lengths) > 0).all()


def test_negative_seed_is_refused():
    with pytest.raises(ValueError, match="negative, got -1"):
        make_plan(DEVICE, small_recipe(), -1, dict.fromkeys(native.NATIVE_UNITARY, native.CNOT))


def test_recipe_survives_in_the_plan():
    assert PLAN.parsed_recipe() == small_recipe()


def test_tickets_cover_every_circuit_once_in_order_and_hold_one_layer_each():
    tickets = layer_tickets(PLAN, "aer:x")
    assert [t.number for t in tickets] == list(range(len(tickets)))
    np.testing.assert_array_equal(np.concatenate([t.circuits for t in tickets]), np.arange(PLAN.n_circuits))
    for t in tickets:
        for name in ("experiment", "layer"):
            assert len(set(getattr(PLAN, f"circuit_{name}")[t.circuits].tolist())) == 1


def test_cost_by_hand():
    device = device_of([(0, 1)], "cz", 2, repetition_delay=1e-3, job_overhead=5.0)
    plan = small_plan(device, small_recipe(readout={"shots": 100}, one_qubit={"shots": 10}, shots=7))
    cost = plan_cost(plan, device)
    assert cost.circuits == plan.n_circuits == 2 + 2 * 12 + 2 * 12
    assert cost.executions == 2 * 100 + 24 * 10 + 24 * 7
    assert cost.longest_circuit == 3  # of pairs: longer in time than the 5 Cliffords of a qubit
    jobs = len(layer_tickets(plan, "test"))
    assert 5 * jobs + cost.executions * 1e-3 < cost.estimated_seconds < 5 * jobs + cost.executions * 1.01e-3


@pytest.mark.parametrize("name", ["heron-133", "eagle-127", "ions-56"])
def test_default_recipe_plans_every_shipped_kind_of_device(name):
    device = build(load_profile(name)).device
    plan = make_plan(device, load_named("circuits", "default", Recipe, "recipe"), 1, dict.fromkeys(native.NATIVE_UNITARY, native.CNOT))
    assert len(plan.qubits) == device.n_qubits
    assert len(plan.edges) == (4 * 28 if name == "ions-56" else len(device.edges))


def optimal_recipe(**two_qubit):
    return small_recipe(**({"lengths": "optimal", "sequences": 8, "shots": 100, "fewest_lengths": 3} | two_qubit))


def cells_of(plan):
    """Circuits of each two-qubit length: rows of length, sequences, shots."""
    two = circuits_of(plan, TWO_QUBIT)
    two = two[(plan.circuit_layer[two] == 0) & (plan.circuit_arm[two] == REFERENCE)]
    m = plan.circuit_length[two]
    return np.array([(q, (m == q).sum(), np.unique(plan.circuit_shots[two[m == q]]).item()) for q in plan.two_qubit_lengths])


def test_optimal_lengths_share_out_what_the_recipe_asks_for():
    plan = small_plan(DEVICE, optimal_recipe())
    lengths, sequences, shots = cells_of(plan).T
    assert lengths[0] == 1
    assert sequences.sum() == pytest.approx(8 * len(lengths), abs=4 * len(lengths) / 2)
    assert sequences @ shots == pytest.approx(8 * 100 * len(lengths), rel=0.1)
    assert (sequences % 4 == 0).all()
    assert (shots >= 50).all()
    assert sequences[-1] > sequences[0]
    assert small_plan(DEVICE, optimal_recipe()).id == plan.id


def test_optimal_lengths_follow_the_errors_of_all_pairs_and_the_cost_of_waiting():
    longest = lambda **changes: small_plan(line_device("cz", **changes), optimal_recipe()).two_qubit_lengths[-1]  # noqa: E731
    usual = longest()
    assert longest(edge_error=np.full(4, 1e-3), qubit_error=np.full(5, 1e-4)) > 3 * usual
    assert longest(repetition_delay=1e-7) < usual
    assert longest(edge_error=[5e-3, 1e-2, 2e-2, 3e-2]) < usual
    assert longest(edge_error=[5e-3, np.nan, np.nan, 5e-3]) == usual  # unknown: like the rest
    assert longest(edge_error=np.full(4, np.nan), qubit_error=np.full(5, np.nan)) == usual  # nothing known: ordinary values


def test_optimal_lengths_reach_a_pair_fifty_times_worse():
    plan = small_plan(line_device("cz", edge_error=np.full(4, 2e-3), qubit_error=np.full(5, 2e-4)), optimal_recipe(fewest_lengths=4))
    rate = 4 / 3 * (2.5 * 2e-3 + 6.5 * 2e-4) * 50
    assert plan.two_qubit_lengths[0] == 1
    assert 0.73 * np.exp(-rate * plan.two_qubit_lengths[1]) > 0.03


def test_sequences_of_every_length_are_spread_over_the_layer():
    plan = small_plan(DEVICE, optimal_recipe(sequences=16))
    two = circuits_of(plan, TWO_QUBIT)
    two = two[plan.circuit_layer[two] == 0]
    place = np.arange(len(two)) / len(two)
    for m in plan.two_qubit_lengths:
        assert place[plan.circuit_length[two] == m].mean() == pytest.approx(0.5, abs=0.05)
        arms = plan.circuit_arm[two][plan.circuit_length[two] == m][::2]
        assert (arms == REFERENCE).sum() == (arms == INTERLEAVED).sum()


def test_optimal_lengths_of_qubits_and_of_nothing():
    recipe = small_recipe(one_qubit={"lengths": "optimal", "sequences": 4, "shots": 100})
    plan = small_plan(DEVICE, recipe)
    assert plan.one_qubit_lengths.size >= 4
    assert plan.one_qubit_lengths[-1] > 300
    assert small_plan(device_of([], [], 3), optimal_recipe()).n_circuits > 0

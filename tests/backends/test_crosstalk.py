import pickle
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qthreshold.backends import crosstalk
from qthreshold.backends.aer import AerBackend, cluster_circuits, simulate
from qthreshold.backends.crosstalk import (
    MOST_QUBITS,
    check_clusters,
    cluster_chances,
    cluster_task,
    cluster_units,
    clusters,
    couplings_to_cut,
    simulate_cluster,
)
from qthreshold.backends.exact import ExactBackend
from qthreshold.backends.noise import build_noise
from qthreshold.counts import unpack_bits
from qthreshold.decays import make_decays
from qthreshold.errors import InputError
from qthreshold.fits import make_fits
from qthreshold.plan import TWO_QUBIT
from qthreshold.pool import Pool
from qthreshold.ticket import layer_tickets
from qthreshold.workflow import make_run
from reference.aer_runs import probabilities
from reference.crosstalk import outcome_chances
from reference.devices import device_of, line_device, small_plan, small_recipe

GATES = ("cz", "cx", "ecr", "rzz", "rxx")


def noise_for(device, rng, over=0.1, angle=0.05):
    """Every kind of noise on every qubit and pair, all of it different."""
    n, e = device.n_qubits, len(device.edges)
    t1 = rng.uniform(1e-6, 1e-5, n)
    return build_noise(
        direction=device.direction, angles=rng.normal(0, angle, (e, 16)), edge_error=rng.uniform(0, 0.05, e), edge_duration=np.full(e, 1e-7), t1=t1,
        t2=t1 * rng.uniform(0.3, 2, n), pulse_error=rng.uniform(0, 0.01, n), pulse_duration=np.full(n, 3e-8), over_rotation=rng.normal(0, over, n),
        phase_error=rng.normal(0, 0.1, n), p1_given_0=rng.uniform(0, 0.1, n), p0_given_1=rng.uniform(0, 0.3, n),
    )  # fmt: skip


def pair_tickets(plan):
    return [t for t in layer_tickets(plan, "test") if plan.circuit_experiment[t.circuits[0]] == TWO_QUBIT]


def recipe_of(**two_qubit):
    return small_recipe(readout={"patterns": 2}, one_qubit={"lengths": [0, 1], "sequences": 2}, **({"lengths": [0, 2], "sequences": 2} | two_qubit))


def cluster_tasks(plan, device, noise, zz):
    """Every ticket, cluster, its units and its task."""
    for ticket in pair_tickets(plan):
        for group in clusters(plan, ticket, device, zz):
            yield ticket, group, cluster_units(plan, ticket, group), cluster_task(plan, ticket, device, noise, zz, group)


@settings(max_examples=12)
@given(
    gates=st.lists(st.sampled_from(GATES), min_size=3, max_size=3), seed=st.integers(0, 10**6), zz=st.lists(st.floats(-2, 2), min_size=3, max_size=3),
    protocol=st.sampled_from(["padded", "plain"]), gate=st.sampled_from(["cnot", "native"]),
)  # fmt: skip
def test_two_pairs_equal_their_gate_by_gate_density_matrix(gates, seed, zz, protocol, gate):
    rng = np.random.default_rng(seed)
    device = line_device("cz", 4)
    device = device.replace(gate=tuple(gates), direction=np.where(rng.random((3, 1)) < 0.5, device.direction, device.direction[:, ::-1]))
    noise, angles = noise_for(device, rng), np.array(zz)
    plan = small_plan(device, recipe_of(lengths=[0, 3], protocol=protocol, gate=gate), seed)
    for _, group, units, task in cluster_tasks(plan, device, noise, angles):
        for chance, mine in zip(cluster_chances(task), units.T, strict=True):
            np.testing.assert_allclose(chance, outcome_chances(plan, device, noise, angles, mine), rtol=0, atol=1e-12)
        assert group.tolist() in ([0, 2], [1]) if zz[1] else len(group) == 1


@pytest.mark.parametrize("gate", GATES)
def test_three_pairs_with_couplings_around_equal_their_gate_by_gate_density_matrix(gate):
    device = device_of([(0, 1), (3, 2), (4, 5), (1, 2), (5, 0), (3, 4), (1, 4), (0, 2)], gate, 6)
    rng = np.random.default_rng(8)
    noise = noise_for(device, rng)
    zz = rng.normal(0, 0.7, len(device.edges))
    plan = small_plan(device, recipe_of(lengths=[1, 3]), 5)
    tickets = [t for t in pair_tickets(plan) if len(np.unique(plan.unit_target[t.units(plan)])) == 3]
    assert tickets
    for ticket in tickets:
        (group,) = clusters(plan, ticket, device, zz)
        units, task = cluster_units(plan, ticket, group), cluster_task(plan, ticket, device, noise, zz, group)
        assert len(task.zz) == 5
        chances = cluster_chances(task)
        for c in (0, 1, 2, -1):
            np.testing.assert_allclose(chances[c], outcome_chances(plan, device, noise, zz, units[:, c]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("qubits", [4, 6, 8])
def test_without_an_angle_every_pair_is_on_its_own(qubits):
    device, rng = line_device("mixed", qubits), np.random.default_rng(1)
    noise = noise_for(device, rng)
    plan = small_plan(device, recipe_of(lengths=[1, 4]))
    ticket = pair_tickets(plan)[0]
    targets = np.arange(0, qubits - 1, 2)
    together = cluster_chances(cluster_task(plan, ticket, device, noise, np.zeros(qubits - 1), targets))
    assert clusters(plan, ticket, device, np.zeros(qubits - 1))[0].tolist() == [0]
    apart = np.ones((len(together), 1))
    for target in targets[::-1]:
        mine = cluster_chances(cluster_task(plan, ticket, device, noise, np.zeros(qubits - 1), np.array([target])))
        apart = (apart[:, :, None] * mine[:, None, :]).reshape(len(mine), -1)
    np.testing.assert_allclose(together, apart, rtol=0, atol=1e-12)


def test_circuits_do_not_depend_on_those_beside_them(monkeypatch):
    device, zz = line_device("ecr", 6), np.full(5, 0.3)
    noise = noise_for(device, np.random.default_rng(2))
    plan = small_plan(device, recipe_of(lengths=[0, 1, 5, 9]))
    task = cluster_task(plan, pair_tickets(plan)[0], device, noise, zz, np.array([0, 2, 4]))
    whole = cluster_chances(task)
    for name, value in (("_STATES", 16**3), ("_PIECES", 100)):
        with monkeypatch.context() as changed:
            changed.setattr(crosstalk, name, value)
            np.testing.assert_allclose(cluster_chances(task), whole, rtol=0, atol=1e-14)


def test_outcomes_are_drawn_together_and_follow_from_the_task_alone():
    device, zz = line_device("cz", 4), np.array([0, 1.5, 0])
    noise = noise_for(device, np.random.default_rng(3), 0, 0)
    plan = small_plan(device, recipe_of(lengths=[1, 2], shots=20_000))
    ticket = pair_tickets(plan)[0]
    units, task = cluster_units(plan, ticket, np.array([0, 2])), cluster_task(plan, ticket, device, noise, zz, np.array([0, 2]))
    seen = simulate_cluster(task)
    assert seen.dtype == np.int64
    assert seen.shape == (*units.shape, 4)
    np.testing.assert_array_equal(seen.sum(axis=2), np.tile(plan.circuit_shots[ticket.circuits], (2, 1)))
    np.testing.assert_array_equal(simulate_cluster(pickle.loads(pickle.dumps(task))), seen)
    chance = cluster_chances(task).reshape(-1, 4, 4)  # the last axis is the first target
    for mine, marginal in zip(seen, (chance.sum(axis=1), chance.sum(axis=2)), strict=True):
        assert (np.abs(mine - 20_000 * marginal) < 5.5 * np.sqrt(20_000 * marginal + 1)).all()
    assert np.abs(chance - chance.sum(axis=1)[:, None] * chance.sum(axis=2)[:, :, None]).max() > 0.01  # which independent pairs could not give
    others = [simulate_cluster(cluster_task(p, t, device, noise, zz, np.array([0, 2]))) for p, t in
              ((plan, ticket.replace(number=9)), (small_plan(device, recipe_of(lengths=[1, 2], shots=20_000), 7), ticket))]  # fmt: skip
    assert all((seen != other).any() for other in others)


def test_only_couplings_with_an_angle_between_two_running_pairs_join_them():
    device = line_device("cz", 12)
    plan = small_plan(device, recipe_of())
    even = next(t for t in pair_tickets(plan) if len(t.units(plan)) == 6 * len(t.circuits))
    zz = np.zeros(11)
    zz[[0, 1, 5, 7, 2]] = 0.1  # 0 and 2 lie within pairs; 1 joins pairs 0 and 2, 5 and 7 the pairs 4, 6 and 8
    assert [g.tolist() for g in clusters(plan, even, device, zz)] == [[0, 2], [4, 6, 8], [10]]
    zz[5] = -0.1
    assert len(clusters(plan, even, device, zz)) == 3
    for ticket in layer_tickets(plan, "test"):
        if ticket.number != even.number and plan.circuit_experiment[ticket.circuits[0]] != TWO_QUBIT:
            assert all(len(g) == 1 for g in clusters(plan, ticket, device, np.full(11, 0.1)))
    dead = device_of(device.direction, "cz", 12, absent_edges={1: "dead", 6: "dead"})
    plan = small_plan(dead, recipe_of())
    groups = [set(g.tolist()) for t in pair_tickets(plan) for g in clusters(plan, t, dead, np.full(11, 0.1))]
    assert max(map(len, groups)) > 1
    assert all(g <= side for g in groups for side in ({0}, {2, 3, 4, 5}, {7, 8, 9, 10}) if g & side)


@pytest.mark.parametrize("spacing", [1, 2, "isolated"])
def test_pairs_that_are_kept_apart_run_alone(spacing):
    device = device_of([(a, b) for a in range(5) for b in range(a) if (a, b) != (3, 0)] + [(5, 4), (6, 5), (7, 6)], "cz", 8)
    plan = small_plan(device, recipe_of(spacing=spacing))
    assert plan.context == "isolated"
    assert all(len(g) == 1 for t in pair_tickets(plan) for g in clusters(plan, t, device, np.full(len(device.edges), 0.1)))


def largest_cluster(plan, device, zz):
    """Pairs of the largest cluster, by walking from pair to pair."""
    most = 1
    for ticket in pair_tickets(plan):
        left = {int(t): {*device.edges[t].tolist()} for t in np.unique(plan.unit_target[ticket.units(plan)])}
        joins = [set(e) for e, z in zip(device.edges.tolist(), zz, strict=True) if z]
        while left:
            found, grew = left.popitem()[1], True
            size = 1
            while grew:
                near = [t for t, qubits in left.items() if any(j & found and j & qubits for j in joins)]
                grew = bool(near)
                size += len(near)
                for t in near:
                    found |= left.pop(t)
            most = max(most, size)
    return most


@given(st.data())
def test_cutting_the_named_couplings_makes_every_cluster_fit_and_each_is_needed(data):
    n = data.draw(st.integers(8, 24))
    possible = [(a, b) for a in range(n) for b in (a + 1, a + 4) if b < n]
    edges = data.draw(st.lists(st.sampled_from(possible), min_size=8, unique=True))
    device = device_of(sorted(edges), "cz", n)
    zz = np.array(data.draw(st.lists(st.sampled_from([0, 0.1, -0.2]), min_size=len(edges), max_size=len(edges))))
    plan = small_plan(device, recipe_of(lengths=[0, 1]))
    layers = [np.unique(plan.unit_target[t.units(plan)]) for t in pair_tickets(plan)]
    cut = couplings_to_cut(device, zz, layers)
    assert (largest_cluster(plan, device, zz) > MOST_QUBITS // 2) == (len(cut) > 0)
    rest = zz.copy()
    rest[cut] = 0
    assert (zz[cut] != 0).all()
    assert largest_cluster(plan, device, rest) <= MOST_QUBITS // 2
    check_clusters(plan, device, rest)
    for edge in cut:
        again = rest.copy()
        again[edge] = zz[edge]
        assert largest_cluster(plan, device, again) > MOST_QUBITS // 2
    if len(cut):
        with pytest.raises(InputError):
            check_clusters(plan, device, zz)


@pytest.mark.parametrize("pairs", [5, 8, 9, 12, 13])
def test_a_chain_is_cut_as_rarely_as_can_be(pairs):
    device = line_device("cz", 2 * pairs)
    layers = [np.arange(0, 2 * pairs - 1, 2)]
    assert len(couplings_to_cut(device, np.full(2 * pairs - 1, 0.1), layers)) == (pairs - 1) // (MOST_QUBITS // 2)


def test_too_large_a_cluster_is_refused_in_one_line_that_says_what_to_do():
    device = line_device("cz", 11)
    plan = small_plan(device, recipe_of())
    with pytest.raises(InputError) as caught:
        clusters(plan, pair_tickets(plan)[0], device, np.full(10, 0.1))
    message = str(caught.value)
    assert "\n" not in message
    assert re.match(r"crosstalk joins 5 pairs that run at the same time, [0-9, -]+: 10 qubits, and at most 8 can be simulated together; ", message)
    assert re.search(r"cut these 2 couplings by zz = 0 in \[\[crosstalk.coupling\]\] of the profile: \d+-\d+, \d+-\d+$", message), message
    assert "spacing = 1 in [two_qubit]" in message
    rest = np.full(10, 0.1)
    rest[[int(m) for m in re.findall(r"(\d+)-\d+", message.partition("profile:")[2])]] = 0  # coupling a-b of a line has number a
    check_clusters(plan, device, rest)


def test_all_couplings_to_cut_are_named_and_a_complete_device_is_told_to_isolate():
    grid = device_of(
        [(8 * y + x, 8 * y + x + d) for y in range(8) for x in range(8) for d in (1, 8) if (x < 7 or d == 8) and (y < 7 or d == 1)], "cz", 64
    )
    plan = small_plan(grid, recipe_of())
    with pytest.raises(InputError, match=r"joins \d+ pairs.*(\d+-\d+, ){9}\d+-\d+ and \d+ more: \d+ qubits.* keep .* = 1 in") as caught:
        check_clusters(plan, grid, np.full(len(grid.edges), 0.1))
    count, named = re.search(r"these (\d+) couplings.*profile: ([0-9, -]+)$", str(caught.value)).groups()
    assert len(named.split(", ")) == int(count)
    full = device_of([(a, b) for a in range(12) for b in range(a)], "rzz", 12)
    with pytest.raises(InputError, match=r'joins 6 pairs.*spacing = "isolated" in'):
        check_clusters(small_plan(full, recipe_of()), full, np.full(len(full.edges), 0.1))


def test_targets_that_some_circuits_lack_are_no_cluster():
    device = line_device("cz", 6)
    plan = small_plan(device, recipe_of())
    with pytest.raises(ValueError, match=r"targets \[0, 1\] are not in every circuit of ticket"):
        cluster_task(plan, pair_tickets(plan)[0], device, noise_for(device, np.random.default_rng(1)), np.zeros(5), np.array([0, 1]))


CHAIN = """
schema = "qthreshold/profile/1"
name = "chain"
[topology]
kind = "line"
qubits = {qubits}
[qubits]
pulse_error = 2e-4
p1_given_0 = 0.01
p0_given_1 = 0.02
[pairs]
gate = "{gate}"
order = "drawn"
error = {{ median = 3e-3, spread = 0.3 }}
coherent = {{ ZX = 0.05 }}
[crosstalk]
zz = {zz}
"""


def chain(folder, kind=AerBackend, pool=None, qubits=4, gate="cz", zz=0.3):
    path = folder / f"{gate}-{qubits}-{zz}.toml"
    path.write_text(CHAIN.format(qubits=qubits, gate=gate, zz=zz))
    return kind(str(path), pool)


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("two_qubit", [{}, {"protocol": "plain", "gate": "native"}])
def test_probabilities_are_those_of_aer(gate, two_qubit, tmp_path):
    backend = chain(tmp_path, qubits=6, gate=gate)
    plan = small_plan(backend.device, recipe_of(lengths=[0, 1, 7], **two_qubit))
    for _, group, _, task in cluster_tasks(plan, backend.device, backend.noise, backend.crosstalk):
        if len(group) > 1:
            np.testing.assert_allclose(probabilities(cluster_circuits(task, measured=False)), cluster_chances(task), rtol=0, atol=1e-10)


def test_aer_joins_the_outcomes_of_clusters_to_full_width(tmp_path):
    backend = chain(tmp_path, qubits=5, zz=1.5)
    plan = small_plan(backend.device, recipe_of(lengths=[0, 2], shots=3000))
    seen = []
    for ticket in layer_tickets(plan, backend.spec):
        counts = backend.collect(plan, ticket, seen.append)
        np.testing.assert_array_equal(np.bincount(counts.circuit, counts.count)[ticket.circuits], plan.circuit_shots[ticket.circuits])
        if plan.circuit_experiment[ticket.circuits[0]] != TWO_QUBIT:
            continue
        (group,) = clusters(plan, ticket, backend.device, backend.crosstalk)
        task = cluster_task(plan, ticket, backend.device, backend.noise, backend.crosstalk, group)
        bits = unpack_bits(counts.bits, 5).astype(int)
        qubits = backend.device.direction[group].ravel()
        outcome = sum(bits[:, q] << i for i, q in enumerate(qubits.tolist()))
        for c, row, chance in zip(ticket.circuits, simulate(task), cluster_chances(task), strict=True):
            here = counts.circuit == c
            np.testing.assert_array_equal(np.bincount(outcome[here], counts.count[here], minlength=16), row)
            assert (np.abs(row - 3000 * chance) < 5.5 * np.sqrt(3000 * chance + 1)).all()
        assert backend.collect(plan, ticket, lambda n: None).id == counts.id
        assert backend.collect(plan, ticket.replace(number=9), lambda n: None).id != counts.id
    assert sum(seen) == len(plan.unit_circuit)


@pytest.mark.parametrize("kind", [AerBackend, ExactBackend])
def test_pairs_that_run_alone_give_the_counts_that_they_gave_without_crosstalk(kind, tmp_path):
    without, with_ = (chain(tmp_path, kind, qubits=6, zz=zz) for zz in (0, 0.5))
    for spacing in (0, 1):
        plan = small_plan(without.device, recipe_of(spacing=spacing))
        ids = [[b.collect(plan, t, lambda n: None).id for t in layer_tickets(plan, "test")] for b in (without, with_)]
        two = [bool(plan.circuit_experiment[t.circuits[0]] == TWO_QUBIT) for t in layer_tickets(plan, "test")]
        assert [a != b for a, b in zip(*ids, strict=True)] == [spacing == 0 and pairs for pairs in two]
    assert without.truth("cnot").id == with_.truth("cnot").id
    assert without.state != with_.state


def test_results_do_not_depend_on_the_number_of_workers(tmp_path):
    with Pool(2) as pool:
        backends = [chain(tmp_path, ExactBackend, p, qubits=8, zz=0.2) for p in (None, pool)]
        zz = backends[0].crosstalk.copy()
        zz[3] = 0  # two clusters in one layer, of three pairs and a single pair in the other
        plan = small_plan(backends[0].device, recipe_of())
        next(iter(pool.run(abs, [1, -1])))  # processes are there, so that they are used
        for backend in backends:
            backend.simulated.crosstalk = backend.crosstalk = zz
        for ticket in pair_tickets(plan):
            seen = []
            one, two = (b.collect(plan, ticket, seen.append) for b in backends)
            assert one.id == two.id
            np.testing.assert_array_equal(one.outcomes.sum(axis=1), plan.circuit_shots[plan.unit_circuit[one.units]])
            assert sum(seen) == 2 * len(one.units)


@pytest.mark.parametrize("kind", [AerBackend, ExactBackend])
def test_a_plan_with_too_large_clusters_makes_no_run(kind, tmp_path):
    backend = chain(tmp_path, kind, qubits=10)
    with pytest.raises(InputError, match="joins 5 pairs"):
        make_run(tmp_path / "run", backend=backend, recipe=recipe_of(), seed=1)
    assert not (tmp_path / "run").exists()
    make_run(tmp_path / "apart", backend=backend, recipe=recipe_of(spacing=1), seed=1)


def test_simultaneous_runs_find_the_planted_crosstalk_and_isolated_ones_do_not(tmp_path):
    zz = 0.25
    backend = chain(tmp_path, ExactBackend, qubits=6, zz=zz)
    found = []
    for spacing in (1, 0):
        plan = small_plan(backend.device, recipe_of(lengths=[1, 8, 30], sequences=40, shots=400, spacing=spacing), 4)
        tallies = [backend.collect(plan, t, lambda n: None) for t in layer_tickets(plan, "test")]
        fits = make_fits(make_decays(plan, backend.device, tallies), 0.95)
        assert set(fits.edge_status) == {"ok"}
        found.append((plan.context, fits.cnot[:, 0], fits.cnot_error))
    (apart, alone, spread), (together, disturbed, wider) = found
    assert (apart, together) == ("isolated", "simultaneous")
    true = backend.truth("cnot").cnot_error
    assert (np.abs(alone - true) < 4 * spread).all()
    # a partner in a random state makes the angle a dephasing of probability sin^2(zz / 2), at every coupling to a pair that runs
    partners = np.array([1, 1, 2, 1, 1])
    more = 4 / 5 * np.sin(zz / 2) ** 2 * partners
    assert (disturbed - true > 5 * wider).all()
    np.testing.assert_allclose(disturbed - true, more, rtol=0.5)
    np.testing.assert_allclose((disturbed - true).sum(), more.sum(), rtol=0.2)

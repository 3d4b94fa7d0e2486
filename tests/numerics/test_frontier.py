import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qthreshold.backends.profiles import Topology, layout, load_profile
from qthreshold.numerics import register_bounds, register_prices, register_program
from qthreshold.numerics.frontier import best_subregisters, register_edges, subregister_bounds
from qthreshold.numerics.register_chain import chained
from qthreshold.numerics.register_graph import components_of, graph_of, means_of
from qthreshold.numerics.register_search import enumerated, searched, subtrees
from reference import frontier as twin

NONE = np.zeros((0, 2), dtype=np.int64)


def grid(rows, columns):
    n, edges, _ = layout(Topology(kind="grid", rows=rows, columns=columns))
    return n, edges


def heron():
    n, edges, _ = layout(load_profile("heron-133").topology)
    return n, edges


def ring(n):
    return n, np.array([(a, a + 1) for a in range(n - 1)] + [(0, n - 1)])


def tree(n, rng):
    return n, np.array([(int(rng.integers(b)), b) for b in range(1, n)], dtype=np.int64).reshape(-1, 2)


def sparse(n, chance, rng):
    a, b = np.triu_indices(n, 1)
    return n, np.stack([a, b], axis=1)[rng.random(a.size) < chance]


def weights(count, kind, rng):
    if kind == "lognormal":
        return 3e-3 * np.exp(0.4 * rng.standard_normal(count))
    if kind == "ties":
        return rng.integers(1, 4, count) / 4
    if kind == "equal":
        return np.full(count, 0.1)
    return rng.standard_normal(count)  # as many below zero as above


KINDS = ("lognormal", "ties", "signed", "equal")


def any_graph(shape, n, rng):
    """A graph of up to n qubits of a kind."""
    match shape:
        case "tree":
            return tree(n, rng)
        case "ring":
            return ring(max(3, n))
        case "grid":
            return grid(2, n // 2) if rng.random() < 0.5 or n < 9 else grid(3, n // 3)
        case "dense":
            return sparse(n, 0.8, rng)
        case _:
            return sparse(n, 2.2 / n, rng)  # often in several components


SHAPES = ("tree", "ring", "grid", "dense", "sparse")


@st.composite
def problems(draw, most=8):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, edges = any_graph(draw(st.sampled_from(SHAPES)), draw(st.integers(4, most)), rng)
    return n, edges, weights(len(edges), draw(st.sampled_from(KINDS)), rng)


def walks(members, edges):
    """Whether each register is connected."""
    return all(twin.connected(np.flatnonzero(row).tolist(), edges.tolist()) for row in members)


def check_consistent(found, n, edges, error):
    inside = register_edges(found.members, edges)
    assert found.members.shape == (found.sizes.size, n)
    np.testing.assert_array_equal(found.members.sum(axis=1), found.sizes)
    np.testing.assert_allclose(found.mean, (inside * error).sum(axis=1) / inside.sum(axis=1), rtol=1e-12, atol=1e-15)
    assert (found.bound <= found.mean).all()
    assert walks(found.members, edges)
    rough = register_bounds.forest_bounds(n, edges, error[None], np.ones((1, len(edges)), dtype=bool))[0, : found.floor.size]
    assert (found.floor[2:] >= rough[2:] - 1e-12 * np.abs(rough[2:])).all()
    np.testing.assert_array_equal(found.floor[found.sizes], found.bound)


@given(problems())
def test_small_graphs_agree_with_the_slow_twin(problem):
    n, edges, error = problem
    found, truth = best_subregisters(n, edges, error), twin.frontier(n, edges, error)
    assert found.sizes.tolist() == list(truth)
    np.testing.assert_allclose(found.mean, list(truth.values()), rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(found.bound, found.mean)
    check_consistent(found, n, edges, error)


@given(problems())
def test_the_bound_is_never_above_the_optimum(problem):
    n, edges, error = problem
    bound, truth = subregister_bounds(n, edges, error[None])[0], twin.frontier(n, edges, error)
    assert np.flatnonzero(np.isfinite(bound)).tolist() == list(truth)
    for size, best in truth.items():
        assert bound[size] <= best + 1e-12 * abs(best)


@given(problems(), st.integers(0, 2**32))
def test_dead_pairs_count_as_absent_and_their_errors_are_not_looked_at(problem, seed):
    n, edges, error = problem
    alive = np.random.default_rng(seed).random((3, len(edges))) < 0.7
    draws = np.where(alive, error, np.nan)
    together = subregister_bounds(n, edges, draws, alive)
    for d in range(3):
        truth = twin.frontier(n, edges[alive[d]], error[alive[d]])
        assert np.flatnonzero(np.isfinite(together[d])).tolist() == list(truth)
        assert all(together[d, size] <= best + 1e-12 * abs(best) for size, best in truth.items())


def test_forest_bounds_of_many_draws_are_those_of_each():
    n, edges = grid(6, 7)
    rng = np.random.default_rng(1)
    draws, alive = weights(20 * len(edges), "lognormal", rng).reshape(20, -1), rng.random((20, len(edges))) < 0.8
    together = register_bounds.forest_bounds(n, edges, draws, alive)
    alone = np.concatenate([register_bounds.forest_bounds(n, edges, draws[d : d + 1], alive[d : d + 1]) for d in range(20)])
    np.testing.assert_allclose(together, alone, rtol=1e-12)
    assert (subregister_bounds(n, edges, draws, alive) >= together).all()


@given(problems(most=12), st.integers(0, 2**32))
def test_the_bound_grows_with_every_error(problem, seed):
    n, edges, error = problem
    worse = error + np.random.default_rng(seed).exponential(np.abs(error).max(initial=0.0) / 3 + 1e-9, len(edges))
    low, high = subregister_bounds(n, edges, np.stack([error, worse]))[:, 2:]
    assert (low <= high + 1e-12).all()


@pytest.mark.parametrize(("graph", "typical", "dead"), [(heron, 0.012, 0.0), (heron, 0.04, 0.03), (lambda: grid(5, 12), 0.015, 0.0)])
def test_bounds_of_draws_of_narrow_devices_are_close_to_the_optimum(graph, typical, dead):
    n, edges = graph()
    rng = np.random.default_rng(6)
    truth = weights(len(edges), "lognormal", rng)
    draws, alive = truth * (1 + 0.1 * rng.standard_normal((80, len(edges)))), rng.random((80, len(edges))) >= dead
    bounds = subregister_bounds(n, edges, draws, alive)
    for d in range(0, 80, 20):
        found = best_subregisters(n, edges[alive[d]], draws[d, alive[d]])
        bound = bounds[d, 2 : found.sizes.size + 2]
        assert (bound <= found.mean * (1 + 1e-12)).all()
        assert np.median(found.mean / bound - 1) < typical


@given(problems(most=12), st.floats(-2, 2), st.floats(0.1, 10))
def test_bounds_and_means_move_and_stretch_with_the_errors(problem, shift, factor):
    n, edges, error = problem
    plain, moved = (best_subregisters(n, edges, w) for w in (error, shift + factor * error))
    np.testing.assert_allclose(moved.mean, shift + factor * plain.mean, rtol=1e-9, atol=1e-9)
    draws = np.stack([error, shift + factor * error])
    low, other = register_bounds.forest_bounds(n, edges, draws, np.ones(draws.shape, dtype=bool))[:, 2 : plain.sizes.size + 2]
    np.testing.assert_allclose(other, shift + factor * low, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n", [2, 3, 9, 15, 40])
def test_the_bound_of_equal_errors_is_that_error(n):
    nodes, edges = tree(n, np.random.default_rng(n))
    for w in (0.3, -0.3):
        np.testing.assert_allclose(subregister_bounds(nodes, edges, np.full((1, n - 1), w))[0, 2:], w, rtol=1e-12)
        found = best_subregisters(nodes, edges, np.full(n - 1, w))
        np.testing.assert_allclose(found.mean, w, rtol=1e-12)
        np.testing.assert_array_equal(found.mean, found.bound)


def test_the_bound_of_all_qubits_is_their_mean():
    for n, edges in (grid(5, 8), heron(), sparse(30, 0.9, np.random.default_rng(0))):
        error = weights(len(edges), "lognormal", np.random.default_rng(1))
        np.testing.assert_allclose(subregister_bounds(n, edges, error[None])[0, n], error.mean(), rtol=1e-12)


def test_cheap_pairs_of_a_cycle_cannot_undercut_the_bound():
    # A cheap triangle behind a dear bridge: the mean of the cheapest pairs of a tree, (0 + 0 + 1) / 3, is too high for four qubits.
    edges, error = np.array([[0, 1], [0, 2], [1, 2], [2, 3]]), np.array([0.0, 0.0, 0.0, 1.0])
    found = best_subregisters(4, edges, error)
    assert found.mean.tolist() == found.bound.tolist() == [0.0, 0.0, 0.25]
    assert subregister_bounds(4, edges, error[None])[0].tolist() == [np.inf, np.inf, 0.0, 0.0, 0.25]


def random_components(count, least, most):
    for seed in range(count):
        rng = np.random.default_rng(seed)
        n, edges = any_graph(SHAPES[seed % len(SHAPES)], int(rng.integers(least, most + 1)), rng)
        for kind in KINDS:
            yield from components_of(n, edges, weights(len(edges), kind, rng))


def test_the_search_is_never_below_the_optimum_and_seldom_above():
    equal = total = 0
    for graph in random_components(150, 8, 14):
        best, found = (means_of(graph, members)[2:] for members in (enumerated(graph), searched(graph)))
        assert (found >= best - 1e-12 * np.abs(best)).all()
        equal, total = equal + (found <= best + 1e-12 * np.abs(best)).sum(), total + best.size
    assert total > 5000
    assert equal / total > 0.99


def test_dynamic_programmes_agree_with_enumeration():
    for graph in random_components(35, 4, 13):
        best = means_of(graph, enumerated(graph))
        steps = register_program.best_program(graph)
        if steps is None:  # too dense
            continue
        apart = means_of(graph, register_program.told_apart(graph, steps))
        np.testing.assert_allclose(apart, best, rtol=1e-12, atol=1e-14)
        members, bound = register_program.priced_registers(graph, steps, searched(graph), np.full(graph.n + 1, graph.error.min()))
        mean = means_of(graph, members)
        np.testing.assert_allclose(mean[2:], best[2:], rtol=1e-12, atol=1e-14)
        assert (bound[2:] <= best[2:] + 1e-12 * np.abs(best[2:]) + 1e-14).all()


@pytest.mark.parametrize("chance", [1.0, 0.8, 0.5])
def test_bounds_of_dense_graphs_hold_and_do_better_than_forests(chance):
    for seed in range(12):
        rng = np.random.default_rng(seed)
        n, edges = sparse(9, chance, rng)
        error = weights(len(edges), KINDS[seed % 4], rng)
        truth = twin.frontier(n, edges, error)
        star = register_bounds.star_bounds(n, edges, error[None], np.ones((1, len(edges)), dtype=bool))[0]
        assert all(star[size] <= best + 1e-12 * abs(best) + 1e-14 for size, best in truth.items())
    n, edges = sparse(30, 1.0, np.random.default_rng(0))
    error = weights(len(edges), "lognormal", np.random.default_rng(1))[None]
    every = np.ones(error.shape, dtype=bool)
    star, forest = (kind(n, edges, error, every)[0, 4:] for kind in (register_bounds.star_bounds, register_bounds.forest_bounds))
    assert (star > 1.1 * forest)[:18].all()


def test_trees_of_any_size_are_solved():
    n, edges = tree(200, np.random.default_rng(8))
    found = best_subregisters(n, edges, weights(n - 1, "lognormal", np.random.default_rng(9)))
    np.testing.assert_array_equal(found.mean, found.bound)
    for graph in random_components(40, 4, 13):
        if len(graph.edges) == graph.n - 1:
            best, mine = (means_of(graph, members)[2:] for members in (enumerated(graph), subtrees(graph)))
            np.testing.assert_allclose(mine, best, rtol=1e-12, atol=1e-14)


def test_bounds_of_a_graph_in_pieces_hold():
    cuts = 0
    for number, graph in enumerate(random_components(40, 5, 12)):
        best = means_of(graph, enumerated(graph))
        rng = np.random.default_rng(number)
        regions = register_prices.cut_regions(graph, np.array_split(rng.permutation(graph.n), rng.integers(1, 4)))
        errors = np.stack([graph.error, graph.error])
        # Registers and rewards other than the best ones weaken a bound, but it stays one.
        other = graph_of(graph.nodes, graph.edges, rng.permutation(graph.error))
        for members in (searched(graph), searched(other)):
            for count in (3, 40):
                prices = register_prices.prices_for(graph, members, count, loose=len(regions) > 1)
                bounds = register_prices.bounds_at(graph, regions, errors, np.ones(errors.shape, dtype=bool), prices)
                assert (bounds[:, 2:] <= best[2:] + 1e-12 * np.abs(best[2:]) + 1e-14).all()
        cuts += len(regions) > 1
    assert cuts > 60


@pytest.mark.parametrize(("size", "gap"), [(34, 0.2), (70, 0.25), (100, 0.16), (150, 0.06), (169, 1e-12)])
def test_the_bound_of_a_wide_grid_is_in_reach(wide, size, gap):
    assert wide.mean[size - 2] <= wide.bound[size - 2] * (1 + gap)


@pytest.fixture(scope="module")
def wide():
    n, edges = grid(13, 13)
    error = weights(len(edges), "lognormal", np.random.default_rng(7))
    found = best_subregisters(n, edges, error)
    check_consistent(found, n, edges, error)
    return found


def test_a_133_qubit_device_is_solved():
    n, edges = heron()
    error = weights(len(edges), "lognormal", np.random.default_rng(3))
    found = best_subregisters(n, edges, error)
    assert found.sizes.tolist() == list(range(2, 134))
    np.testing.assert_array_equal(found.mean, found.bound)
    check_consistent(found, n, edges, error)


def test_a_grid_of_105_qubits_is_solved_to_a_tenth_of_a_percent():
    n, edges = grid(7, 15)
    error = weights(len(edges), "lognormal", np.random.default_rng(4))
    found = best_subregisters(n, edges, error)
    assert (found.mean <= found.bound * 1.001).all()
    check_consistent(found, n, edges, error)


@pytest.mark.parametrize(("n", "chance"), [(40, 1.0), (60, 0.1), (200, 0.008)])
def test_wide_and_scattered_graphs_get_registers_and_bounds(n, chance):
    rng = np.random.default_rng(n)
    _, edges = sparse(n, chance, rng)
    error = weights(len(edges), "lognormal", rng)
    found = best_subregisters(n, edges, error)
    check_consistent(found, n, edges, error)
    assert found.mean[0] == found.bound[0] == error.min()


def test_results_are_the_same_every_time():
    n, edges = sparse(70, 0.06, np.random.default_rng(5))
    error = weights(len(edges), "lognormal", np.random.default_rng(5))
    one, two = (best_subregisters(n, edges, error) for _ in range(2))
    np.testing.assert_array_equal(one.members, two.members)
    np.testing.assert_array_equal(one.bound, two.bound)


def test_components_compete_for_each_size():
    # A path of three cheap pairs, and a ring of six dear ones: registers of five and six qubits exist in the ring alone.
    edges = np.array([[0, 1], [1, 2], [2, 3], [5, 6], [6, 7], [7, 8], [8, 9], [9, 10], [5, 10]])
    error = np.array([0.1, 0.2, 0.3, 1.0, 1.0, 1.0, 1.0, 1.0, 4.0])
    found = best_subregisters(11, edges, error)
    np.testing.assert_allclose(found.mean, [0.1, 0.15, 0.2, 1.0, 1.5])
    np.testing.assert_array_equal(found.bound, found.mean)
    assert np.flatnonzero(found.members[2]).tolist() == [0, 1, 2, 3]
    assert np.isfinite(subregister_bounds(11, edges, error[None])[0]).tolist() == [False] * 2 + [True] * 5 + [False] * 5


@pytest.mark.parametrize("n", [0, 1, 5])
def test_no_pairs_no_registers(n):
    found = best_subregisters(n, NONE, np.zeros(0))
    assert found.sizes.size == found.mean.size == found.bound.size == 0
    assert found.members.shape == (0, n)
    assert subregister_bounds(n, NONE, np.zeros((3, 0))).tolist() == [[np.inf] * (n + 1)] * 3


def test_one_pair_is_one_register_and_lone_qubits_are_never_members():
    found = best_subregisters(4, np.array([[1, 3]]), np.array([-1e-4]))
    assert (found.sizes.tolist(), found.mean.tolist(), found.bound.tolist()) == ([2], [-1e-4], [-1e-4])
    assert found.members.tolist() == [[False, True, False, True]]
    draws = subregister_bounds(4, np.array([[1, 3]]), np.array([[0.1], [0.2]]), np.array([[True], [False]]))
    assert draws.tolist() == [[np.inf, np.inf, 0.1, np.inf, np.inf], [np.inf] * 5]
    assert subregister_bounds(4, np.array([[1, 3]]), np.zeros((0, 1))).shape == (0, 5)


def test_pairs_inside_registers():
    members = np.array([[True, True, False], [True, True, True], [False, False, True]])
    inside = register_edges(members, np.array([[0, 1], [1, 2]]))
    assert inside.tolist() == [[True, False], [True, True], [False, False]]
    assert register_edges(members, NONE).shape == (3, 0)


@pytest.mark.parametrize(
    ("edges", "error", "message"),
    [
        ([[0, 1]], [np.nan], "finite numbers, got .nan. for pair 0"),
        ([[0, 1], [1, 2]], [0.1, np.inf], "finite numbers, got .inf. for pair 1"),
        ([[0, 1]], [0.1, 0.2], r"shape \(2,\), but 1 pairs need \(1,\)"),
        ([0, 1], [0.1, 0.2], r"shape \(E, 2\), got \(2,\)"),
        ([[0, 9]], [0.1], "qubits 0 to 9, but there are 3"),
        ([[-1, 2]], [0.1], "qubits -1 to 2, but there are 3"),
        ([[1, 0]], [0.1], r"a < b, got \[1, 0\]"),
        ([[1, 1]], [0.1], r"a < b, got \[1, 1\]"),
        ([[0, 1], [0, 1]], [0.1, 0.2], "2 pairs, but only 1 different"),
    ],
)
def test_misuse_names_both_values(edges, error, message):
    with pytest.raises(ValueError, match=message):
        best_subregisters(3, np.array(edges), np.array(error))
    with pytest.raises(ValueError):
        subregister_bounds(3, np.array(edges), np.array([error]))


def test_draws_and_alive_must_have_one_shape():
    with pytest.raises(ValueError, match="two axes"):
        subregister_bounds(3, np.array([[0, 1]]), np.array([0.1]))
    with pytest.raises(ValueError, match=r"shape \(1, 1\), but alive has \(1,\)"):
        subregister_bounds(3, np.array([[0, 1]]), np.array([[0.1]]), np.array([True]))


@pytest.mark.slow
def test_thousands_of_random_components_agree_with_enumeration():
    equal = total = 0
    for graph in random_components(600, 5, 14):
        best = means_of(graph, enumerated(graph))[2:]
        slack = 1e-12 * np.abs(best) + 1e-14
        found = means_of(graph, searched(graph))[2:]
        assert (found >= best - slack).all()
        equal, total = equal + (found <= best + slack).sum(), total + best.size
        assert (subregister_bounds(graph.n, graph.edges, graph.error[None])[0, 2:] <= best + slack).all()
        steps = register_program.best_program(graph)
        if steps is not None:
            np.testing.assert_allclose(means_of(graph, register_program.told_apart(graph, steps))[2:], best, rtol=1e-12, atol=1e-14)
    assert equal / total > 0.99


@pytest.mark.slow
def test_a_grid_of_2025_qubits_gets_registers_and_bounds():
    n, edges = grid(45, 45)
    error = weights(len(edges), "lognormal", np.random.default_rng(10))
    found = best_subregisters(n, edges, error)
    inside = register_edges(found.members, edges)
    np.testing.assert_allclose(found.mean, np.where(inside, error, 0.0).sum(axis=1) / inside.sum(axis=1), rtol=1e-12)
    gap = found.mean / found.bound - 1
    assert (gap >= 0).all()
    assert gap[1000 - 2] < 0.08
    assert np.median(gap) < 0.08
    for row in found.members[::50]:
        assert twin.connected(np.flatnonzero(row).tolist(), edges.tolist())


def test_chains_are_connected_never_below_the_optimum_and_seldom_above():
    equal = total = 0
    for graph in random_components(60, 8, 14):
        sizes = np.unique([2, 3, 5, 8, graph.n])
        sizes = sizes[sizes <= graph.n]
        members = chained(graph, sizes)
        assert members.sum(axis=1).tolist() == sizes.tolist()
        assert walks(members, graph.edges)
        best, found = means_of(graph, enumerated(graph))[sizes], means_of(graph, members)
        assert (found >= best - 1e-12 * np.abs(best)).all()
        equal, total = equal + (found <= best + 1e-12 * np.abs(best)).sum(), total + best.size
    assert total > 600
    assert equal / total > 0.95


def test_where_only_some_sizes_are_asked_every_size_still_has_a_bound(monkeypatch):
    monkeypatch.setattr("qthreshold.numerics.frontier._ENUMERATED", 1)
    monkeypatch.setattr("qthreshold.numerics.frontier.ENTRIES", 0)  # nothing is solved exactly
    for seed in range(40):
        rng = np.random.default_rng(seed)
        n, edges = any_graph(SHAPES[seed % len(SHAPES)], int(rng.integers(5, 11)), rng)
        error = weights(len(edges), KINDS[seed % 4], rng)
        truth = twin.frontier(n, edges, error)
        found = best_subregisters(n, edges, error, np.array([2, 4, 7, 90]))
        most = max(truth, default=1)
        assert found.sizes.tolist() == sorted({k for k in (2, 4, 7, most) if 2 <= k <= most})
        assert found.members.sum(axis=1).tolist() == found.sizes.tolist()
        assert walks(found.members, edges)
        assert np.flatnonzero(np.isfinite(found.floor)).tolist() == list(truth)
        for size, best in truth.items():
            assert found.floor[size] <= best + 1e-12 * abs(best) + 1e-14
        np.testing.assert_array_equal(found.bound, found.floor[found.sizes])
        assert all(mean >= truth[k] - 1e-12 * abs(mean) for k, mean in zip(found.sizes.tolist(), found.mean.tolist(), strict=True))


def test_bounds_hold_whatever_registers_are_said_to_be_known():
    for seed in range(30):
        rng = np.random.default_rng(seed)
        n, edges = any_graph(SHAPES[seed % len(SHAPES)], int(rng.integers(5, 11)), rng)
        draws = np.stack([weights(len(edges), KINDS[seed % 4], rng) for _ in range(2)])
        bounds = subregister_bounds(n, edges, draws, known=rng.random((40, n)) < 0.5)
        for d in range(2):
            truth = twin.frontier(n, edges, draws[d])
            assert all(bounds[d, size] <= best + 1e-12 * abs(best) + 1e-14 for size, best in truth.items())


@pytest.mark.parametrize("dead", [0.0, 0.05])
def test_bounds_of_a_cut_device_hold_for_what_a_search_finds(dead):
    n, edges = grid(18, 18)
    rng = np.random.default_rng(11)
    draws = weights(len(edges), "lognormal", rng) * (1 + 0.05 * rng.standard_normal((3, len(edges))))
    alive = rng.random(draws.shape) >= dead
    bounds = subregister_bounds(n, edges, draws, alive)
    forest = register_bounds.forest_bounds(n, edges, draws, alive)
    for d in range(3):
        found = best_subregisters(n, edges[alive[d]], draws[d, alive[d]], np.array([3, 10, 34, 100, 200]))
        assert (bounds[d, found.sizes] <= found.mean * (1 + 1e-12)).all()
    assert np.median(bounds[:, 34] / forest[:, 34]) > (1.05 if dead == 0 else 0.999)


def test_a_long_line_takes_no_table_of_all_sizes():
    n = 3000
    error = weights(n - 1, "lognormal", np.random.default_rng(2))
    found = best_subregisters(n, np.stack([np.arange(n - 1), np.arange(1, n)], axis=1), error, np.array([2, 50, 1000]))
    sums = np.concatenate([[0], np.cumsum(error)])
    wanted = [(sums[k - 1 :] - sums[: 1 - k]).min() / (k - 1) for k in (2, 50, 1000, 3000)]
    np.testing.assert_allclose(found.mean, wanted, rtol=1e-9)
    assert found.members.shape == (4, n)

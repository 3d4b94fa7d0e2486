import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qthreshold.backends.profiles import Topology, layout, load_profile
from qthreshold.numerics.graphs import color_layers, largest_components, random_matchings
from reference.graphs import distance, largest_component


def coupling(name):
    n, edges, _ = layout(load_profile(name).topology)
    return n, edges


def grid(rows, columns):
    n, edges, _ = layout(Topology(kind="grid", rows=rows, columns=columns))
    return n, edges


@st.composite
def graphs(draw, most=9):
    n = draw(st.integers(1, most))
    pairs = [(a, b) for b in range(n) for a in range(b)]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=14)) if pairs else []
    return n, np.array(sorted(chosen), dtype=np.int64).reshape(-1, 2)


def check_layers(layer, targets, edges, n, spacing):
    assert layer.shape == (len(targets),)
    for g in range(layer.max(initial=-1) + 1):
        members = targets[layer == g]
        assert len(members) > 0
        for i in range(len(members)):
            apart = distance(n, edges, members[i], np.delete(members, i, axis=0).ravel())
            assert apart is None or apart > spacing


@given(graphs(), st.integers(0, 3))
def test_layers_keep_pairs_apart(graph, spacing):
    n, edges = graph
    check_layers(color_layers(edges, edges, n, spacing), edges, edges, n, spacing)


@given(graphs(), st.integers(0, 3))
def test_layers_keep_qubits_apart(graph, spacing):
    n, edges = graph
    qubits = np.arange(n)[:, None]
    check_layers(color_layers(qubits, edges, n, spacing), qubits, edges, n, spacing)


@pytest.mark.parametrize("name", ["heron-133", "eagle-127"])
@pytest.mark.parametrize("spacing", [0, 1, 2])
def test_layers_of_heavy_hex_devices_keep_pairs_apart(name, spacing):
    n, edges = coupling(name)
    check_layers(color_layers(edges, edges, n, spacing), edges, edges, n, spacing)


@pytest.mark.parametrize("name", ["heron-133", "eagle-127"])
def test_heavy_hex_pairs_take_three_layers(name):
    n, edges = coupling(name)
    assert color_layers(edges, edges, n, 0).max() + 1 == 3


@pytest.mark.parametrize(("rows", "columns"), [(3, 3), (7, 15), (10, 10)])
def test_square_grid_pairs_take_four_layers(rows, columns):
    n, edges = grid(rows, columns)
    assert color_layers(edges, edges, n, 0).max() + 1 == 4


def test_line_pairs_take_two_layers_and_three_when_spaced():
    n, edges, _ = layout(Topology(kind="line", qubits=20))
    assert color_layers(edges, edges, n, 0).max() + 1 == 2
    assert color_layers(edges, edges, n, 1).max() + 1 == 3


def test_qubits_without_spacing_share_one_layer():
    n, edges = grid(3, 3)
    assert color_layers(np.arange(n)[:, None], edges, n, 0).tolist() == [0] * n
    assert color_layers(np.arange(n)[:, None], edges, n, 1).max() == 1


@given(graphs(), st.integers(0, 2))
def test_layers_are_numbered_by_decreasing_size(graph, spacing):
    n, edges = graph
    sizes = np.bincount(color_layers(edges, edges, n, spacing))
    assert (np.diff(sizes) <= 0).all()
    assert sizes.sum() == len(edges)


def test_no_targets_no_layers_and_negative_spacing_is_refused():
    none = np.zeros((0, 2), dtype=np.int64)
    assert color_layers(none, none, 3, 0).tolist() == []
    with pytest.raises(ValueError, match="negative, got -1"):
        color_layers(none, none, 3, -1)


@pytest.mark.parametrize("n", [2, 3, 4, 7, 8, 56])
def test_matchings_are_perfect_disjoint_and_together_the_complete_graph(n):
    most = n - 1 if n % 2 == 0 else n
    table = random_matchings(n, most, np.random.default_rng(1))
    assert table.shape == (most * (n // 2), 3)
    for r in range(most):
        used = table[table[:, 0] == r, 1:].ravel().tolist()
        assert len(set(used)) == len(used) == 2 * (n // 2)
    pairs = {(a, b) for _, a, b in table.tolist()}
    assert all(a < b < n for a, b in pairs)
    assert len(pairs) == n * (n - 1) // 2


def test_matchings_never_repeat_a_pair_and_take_no_more_rounds_than_there_are():
    table = random_matchings(10, 4, np.random.default_rng(2))
    assert len({(a, b) for _, a, b in table.tolist()}) == len(table) == 20
    assert random_matchings(4, 99, np.random.default_rng(3))[:, 0].max() == 2


def test_matchings_follow_their_generator():
    a, b, c = (random_matchings(12, 3, np.random.default_rng(s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_every_pair_is_drawn_about_equally_often():
    count = np.zeros((6, 6))
    for seed in range(600):
        for _, a, b in random_matchings(6, 1, np.random.default_rng(seed)).tolist():
            count[a, b] += 1
    assert np.abs(count[np.triu_indices(6, 1)] - 120).max() < 5 * np.sqrt(120)


@given(graphs(), st.integers(0, 2**32), st.floats(0, 1))
def test_largest_components_agree_with_the_slow_twin(graph, seed, chance):
    n, edges = graph
    rng = np.random.default_rng(seed)
    nodes, links = rng.random((5, n)) < chance, rng.random((5, len(edges))) < chance
    fast = largest_components(n, edges, nodes, links)
    assert fast.tolist() == [largest_component(n, edges.tolist(), nodes[d], links[d]) for d in range(5)]


def test_largest_component_of_a_whole_device_and_of_a_dead_one():
    n, edges = coupling("heron-133")
    up = np.stack([np.ones(n, bool), np.zeros(n, bool)])
    inside = largest_components(n, edges, up, np.ones((2, len(edges)), bool))
    assert inside.sum(axis=1).tolist() == [133, 0]


def test_of_equal_components_the_lowest_node_wins():
    edges = np.array([[0, 1], [2, 3]])
    assert largest_components(4, edges, np.ones((1, 4), bool), np.ones((1, 2), bool)).tolist() == [[True, True, False, False]]

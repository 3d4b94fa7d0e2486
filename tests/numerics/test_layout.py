import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.sparse.csgraph import shortest_path
from scipy.spatial import cKDTree

from qthreshold.backends.profiles import Topology, layout, load_profile
from qthreshold.numerics.graphs import sparse_table
from qthreshold.numerics.layout import lay_out
from qthreshold.numerics.stress import stress_layout


def coupling(name):
    n, edges, _ = layout(load_profile(name).topology)
    return n, edges


def lengths(x, edges):
    return np.hypot(*(x[edges[:, 0]] - x[edges[:, 1]]).T)


def nearest(x):
    return cKDTree(x).query(x, 2)[0][:, 1].min()


def check_lattice(x, edges):
    """All nodes on different places of the square lattice, all edges between neighbouring ones: such a drawing has no crossings."""
    assert np.abs(x - np.round(x)).max() < 1e-9
    assert len(np.unique(np.round(x), axis=0)) == len(x)
    assert np.allclose(np.abs(x[edges[:, 0]] - x[edges[:, 1]]).sum(axis=1), 1)


def crossings(x, edges):
    """Pairs of edges without a common node that cross, counted one by one."""

    def side(a, b, c):
        return (x[b, 0] - x[a, 0]) * (x[c, 1] - x[a, 1]) - (x[b, 1] - x[a, 1]) * (x[c, 0] - x[a, 0])

    return sum(
        side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0
        for (a, b), (c, d) in itertools.combinations(edges.tolist(), 2)
        if not {a, b} & {c, d}
    )


def octagons(columns):
    """Two rows of rings of eight, joined by two pairs each, as on some superconducting chips."""
    out = []
    for y, x in itertools.product(range(2), range(columns)):
        ring = 8 * (y * columns + x)
        out += [(ring + k, ring + (k + 1) % 8) for k in range(8)]
        out += [(ring + 1, ring + 8 + 6), (ring + 2, ring + 8 + 5)] if x + 1 < columns else []
        out += [(ring + 3, ring + 8 * columns), (ring + 4, ring + 8 * columns + 7)] if y == 0 else []
    return 16 * columns, np.array(out)


def triangles(rows, columns):
    at = np.arange(rows * columns).reshape(rows, columns)
    sides = [(at[:, :-1], at[:, 1:]), (at[:-1], at[1:]), (at[:-1, 1:], at[1:, :-1])]
    return at.size, np.concatenate([np.stack([a.ravel(), b.ravel()], 1) for a, b in sides])


@st.composite
def graphs(draw, most=14):
    n = draw(st.integers(1, most))
    pairs = [(a, b) for b in range(n) for a in range(b)]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=30)) if pairs else []
    return n, np.array(sorted(chosen), dtype=np.int64).reshape(-1, 2)


@pytest.mark.parametrize("name", ["heron-133", "eagle-127", "heavy-hex-1121", "grid-105", "grid-2025", "coherent-16"])
def test_chips_are_drawn_as_lattices(name):
    n, edges = coupling(name)
    x = lay_out(n, edges)
    check_lattice(x, edges)
    assert x[0].sum() <= 1  # the first qubit at the top left
    assert np.ptp(x[:, 0]) >= np.ptp(x[:, 1])


@pytest.mark.parametrize(("rows", "columns"), [(2, 30), (3, 3), (7, 15), (12, 10), (20, 20)])
def test_a_grid_is_a_grid_in_landscape(rows, columns):
    n, edges, _ = layout(Topology(kind="grid", rows=rows, columns=columns))
    x = lay_out(n, edges)
    check_lattice(x, edges)
    assert np.ptp(x, axis=0).tolist() == [max(rows, columns) - 1, min(rows, columns) - 1]


@pytest.mark.parametrize("name", ["heron-133", "grid-105"])
def test_a_lattice_is_found_whatever_its_qubits_are_called(name):
    n, edges = coupling(name)
    for seed in range(3):
        renamed = np.random.default_rng(seed).permutation(n)[edges]
        check_lattice(lay_out(n, renamed), renamed)


def test_a_chip_has_as_much_room_as_its_maker_gave_it():
    n, edges, position = layout(load_profile("eagle-127").topology)
    assert np.ptp(lay_out(n, edges), axis=0).tolist() == np.ptp(position, axis=0).tolist()


@pytest.mark.parametrize(("n", "edges"), [octagons(4), triangles(5, 8)], ids=["octagons", "triangles"])
def test_other_lattices_are_unfolded(n, edges):
    x = lay_out(n, edges)
    assert crossings(x, edges) == 0
    assert np.ptp(x[:, 0]) > np.ptp(x[:, 1])
    assert nearest(x) > 0.8
    assert lengths(x, edges).max() < 1.3


@pytest.mark.parametrize("n", [2, 3, 12, 13, 40, 99, 500])
def test_a_line_stays_straight_or_winds(n):
    edges = np.stack([np.arange(n - 1), np.arange(1, n)], 1)
    x = lay_out(n, edges)
    check_lattice(x, edges)
    assert nearest(x) == 1
    width, height = np.ptp(x, axis=0)
    assert height == 0 if n <= 12 else height < width < 5 * height


@pytest.mark.parametrize("n", [3, 4, 11])
def test_a_ring_is_round(n):
    order = np.random.default_rng(n).permutation(n)
    x = lay_out(n, np.stack([order, np.roll(order, 1)], 1))
    radius = np.hypot(*(x - x.mean(axis=0)).T)
    assert np.allclose(radius, radius[0])
    assert np.allclose(lengths(x, np.stack([order, np.roll(order, 1)], 1)), 1)


def test_a_star_has_its_hub_in_the_middle():
    x = lay_out(7, [(3, q) for q in range(7) if q != 3])
    assert np.allclose(np.hypot(*(np.delete(x, 3, axis=0) - x[3]).T), 1)


@pytest.mark.parametrize("n", [4, 20, 56])
def test_all_to_all_is_a_circle_with_the_first_two_at_the_top(n):
    x = lay_out(n, list(itertools.combinations(range(n), 2)))
    radius = np.hypot(*(x - (x.min(axis=0) + np.ptp(x, axis=0) / 2)).T)
    assert np.allclose(radius, radius[0], atol=0.1 * radius[0])
    assert np.argsort(x[:, 1], kind="stable")[:2].tolist() == [0, 1]


def test_a_small_flat_graph_is_no_circle():
    edges = np.array([(0, 2), (2, 1), (1, 3), (0, 3), (3, 4)])  # a square and a tail, the numbers not in order
    assert crossings(lay_out(5, edges), edges) == 0


def test_components_lie_beside_one_another_and_lone_nodes_below():
    grid = layout(Topology(kind="grid", rows=3, columns=4))[1]
    edges = np.concatenate([grid, [(12, 13), (13, 14), (12, 14), (15, 16), (17, 18)]])
    x = lay_out(25, edges)
    parts = [range(12), range(12, 15), (15, 16), (17, 18), range(19, 25)]
    for a, b in itertools.combinations(parts, 2):
        apart = np.maximum(x[list(a)].min(axis=0) - x[list(b)].max(axis=0), x[list(b)].min(axis=0) - x[list(a)].max(axis=0))
        assert apart.max() >= 1
    assert np.unique(x[19:, 1]).size <= 2
    assert x[19:, 1].min() > x[:19, 1].max()


def test_nothing_and_lone_nodes():
    assert lay_out(0, []).shape == (0, 2)
    assert lay_out(1, []).tolist() == [[0, 0]]
    assert lay_out(5, []).tolist() == [[0, 0], [1, 0], [2, 0], [0, 1], [1, 1]]


@given(graphs(), st.randoms(use_true_random=False))
def test_any_graph_has_a_legible_drawing(graph, random):
    n, edges = graph
    x = lay_out(n, edges)
    assert x.shape == (n, 2)
    assert x.dtype == np.float64
    assert np.isfinite(x).all()
    assert (x.min(axis=0) > -1e-9).all()
    if n > 1:
        assert nearest(x) >= min(0.3, 3 / n) - 1e-9
    if len(edges):
        assert np.median(lengths(x, edges)) == pytest.approx(1)
    again = [random.sample(pair, 2) for pair in edges.tolist()]
    assert np.array_equal(x, lay_out(n, random.sample(again, len(again)) + again[:2]))


@pytest.mark.parametrize("density", [0.02, 0.1, 0.4])
def test_random_graphs_of_some_size(density):
    rng = np.random.default_rng(7)
    pairs = np.stack(np.triu_indices(150, 1), 1)
    edges = pairs[rng.random(len(pairs)) < density]
    x = lay_out(150, edges)
    assert nearest(x) >= min(0.3, 3 / 150)
    assert np.median(lengths(x, edges)) == pytest.approx(1)


@pytest.mark.parametrize("edges", [[(0, 3)], [(-1, 0)], [(1, 1)]])
def test_edges_must_join_two_nodes(edges):
    with pytest.raises(ValueError, match=r"must join two different nodes of 0\.\.2"):
        lay_out(3, edges)
    with pytest.raises(ValueError, match="negative"):
        lay_out(-1, [])


@pytest.mark.parametrize("n", [30, 400])
def test_stress_follows_the_distances_of_a_long_ladder(n):
    half = n // 2
    a = np.arange(half - 1)
    edges = np.concatenate([np.stack([a, a + 1], 1), np.stack([a + half, a + half + 1], 1), np.stack([np.arange(half), np.arange(half) + half], 1)])
    x = stress_layout(n, edges)
    assert np.hypot(*(x[0] - x[half - 1])) == pytest.approx(half - 1, rel=0.1)
    assert lengths(x, edges).min() > 0.7


@pytest.mark.parametrize(("n", "edges"), [octagons(2), triangles(4, 6)], ids=["octagons", "triangles"])
def test_no_drawing_nearby_has_less_stress(n, edges):
    distance = shortest_path(sparse_table(np.ones(len(edges)), *edges.T, n), directed=False, unweighted=True)
    a, b = np.triu_indices(n, 1)
    d = distance[a, b]

    def stress(flat):
        x = flat.reshape(n, 2)
        return ((2 / d**2 + (d == 1)) * (np.hypot(*(x[a] - x[b]).T) - d) ** 2).sum()

    found = stress(stress_layout(n, edges).ravel())
    assert found < 1.01 * minimize(stress, stress_layout(n, edges).ravel()).fun

import itertools

import numpy as np
import pytest

from qthreshold.backends.profiles import Topology, layout, load_profile
from qthreshold.numerics.layout import lay_out
from qthreshold.report.geometry import place, spots


def coupling(name):
    _, edges, position = layout(load_profile(name).topology)
    return position, edges


def lengths(at):
    return np.hypot(*(at.x[at.edges[:, 0]] - at.x[at.edges[:, 1]]).T)


@pytest.mark.parametrize("name", ["heron-133", "eagle-127", "grid-105"])
def test_edges_of_a_chip_of_today_are_forty_pixels_long(name):
    at = place(*coupling(name), 100)
    assert np.median(lengths(at)) == pytest.approx(40)


@pytest.mark.parametrize("name", ["tiny-5", "heron-133", "ions-56", "grid-2025", "heavy-hex-1121", "modular-4x462", "grid-10000"])
def test_everything_lies_inside_and_qubits_do_not_touch(name):
    position, edges = coupling(name)
    at = place(position, edges, len(edges))
    assert at.width <= 900
    assert at.height <= 950
    assert (at.x > at.radius).all()
    assert (at.x < np.array([at.width, at.height]) - at.radius).all()
    a, b = np.triu_indices(min(len(at.x), 400), 1)
    assert np.hypot(*(at.x[a] - at.x[b]).T).min() > 2 * at.radius
    assert at.stroke < 2 * at.radius


@pytest.mark.parametrize("unit", [1e-6, 1.0, 2500.0, 1e80])
def test_coordinates_may_be_in_any_unit(unit):
    position, edges = coupling("heron-133")
    assert np.allclose(place(unit * (position - 7), edges, 1).x, place(position, edges, 1).x)


def test_coordinates_are_used_as_they_are():
    position, edges = coupling("grid-105")
    tilted = position @ np.array([[0.8, 0.6], [-0.6, 0.8]]) * [1.0, 1.3]
    at = place(tilted, edges, 1)
    scale = np.ptp(at.x, axis=0) / np.ptp(tilted, axis=0)
    assert scale[0] == pytest.approx(scale[1])
    assert np.allclose(at.x - at.x[0], scale * (tilted - tilted[0]))


def test_without_coordinates_a_chip_is_laid_out():
    position, edges = coupling("heron-133")
    nothing = place(np.full_like(position, np.nan), edges, 1)
    expected = lay_out(len(position), edges)
    assert np.allclose((nothing.x - nothing.x[0]) / 40, expected - expected[0])
    same = place(np.zeros_like(position), edges, 1)
    assert np.allclose(same.x, nothing.x)
    few = position.copy()
    few[60:] = np.nan
    assert np.allclose(place(few, edges, 1).x, nothing.x)
    endless = np.where(np.arange(133)[:, None] < 70, np.inf, position)
    assert np.allclose(place(endless, edges, 1).x, nothing.x)


def test_qubits_without_coordinates_lie_below_the_others():
    position, edges = coupling("grid-105")
    part = position.copy()
    part[[3, 50, 104]] = np.nan
    x = place(part, edges, 1).x
    rest = np.setdiff1d(np.arange(105), [3, 50, 104])
    assert x[[3, 50, 104], 1].min() > x[rest, 1].max() + 39
    assert np.allclose((x - x[0])[rest] / 40, position[rest] - position[0])


def test_a_long_straight_line_winds_and_a_short_one_does_not():
    for n, winds in ((12, False), (30, False), (100, True)):
        edges = np.stack([np.arange(n - 1), np.arange(1, n)], 1)
        at = place(np.stack([np.arange(n), np.zeros(n)], 1), edges, n - 1)
        assert (np.ptp(at.x[:, 1]) > 0) == winds


def test_a_pair_that_would_pass_over_qubits_is_bent_around_them():
    edges = np.array([(0, 1), (0, 5), (1, 2), (2, 3), (3, 4), (4, 5)])
    at = place(np.stack([np.arange(6), np.zeros(6)], 1), edges, 6)
    assert np.isnan(at.control).all(axis=1).tolist() == [True, False, True, True, True, True]
    assert at.middle[1, 1] < at.x[0, 1] - at.radius
    lines = at.lines()
    assert "Q" in lines[1]
    assert all("H" in line for i, line in enumerate(lines) if i != 1)
    assert at.middle[:, 1].min() >= 0


def test_few_thin_lines_are_wider_than_many():
    edges = np.array(list(itertools.combinations(range(40), 2)))
    nothing = np.full((40, 2), np.nan)
    assert place(nothing, edges, 40).stroke > 2 * place(nothing, edges, len(edges)).stroke


def test_one_qubit_and_no_pairs():
    none = np.zeros((0, 2), dtype=np.int64)
    at = place(np.full((1, 2), np.nan), none, 0)
    assert at.x.shape == (1, 2)
    assert at.lines() == []
    assert place(np.full((9, 2), np.nan), none, 0).radius > 5


def test_labels_keep_clear_of_qubits_and_of_each_other():
    position, edges = coupling("heron-133")
    at, size = place(position, edges, len(edges)), (36.0, 22.0)
    wanted = np.array([1, 30, 60, 90, 120, 149])
    places, covered = spots(at, wanted, size)
    assert covered == 0
    for spot, i in zip(places, wanted, strict=True):
        gap = np.maximum(np.abs(at.x - spot) - np.array(size) / 2, 0)
        assert np.hypot(*gap.T).min() > at.radius
        assert np.abs(spot - at.middle[i]).max() < 40
        assert (spot > np.array(size) / 2).all()
    for one, other in itertools.combinations(places, 2):
        assert (np.abs(one - other) >= size).any()


def test_labels_fit_into_the_faces_of_a_grid():
    _, edges, position = layout(Topology(kind="grid", rows=6, columns=8))
    at = place(position, edges, len(edges))
    assert spots(at, np.array([20, 33, 50]), (33.0, 11.0))[1] == 0

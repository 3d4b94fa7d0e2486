"""Names of points on the staircase, measured in the drawn figure: each can be read."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg

from qthreshold.identity import Interval
from qthreshold.report import drawing, figures
from qthreshold.report.plates import comparison_plates
from qthreshold.report.points import Point
from qthreshold.rulebook import load_instruments
from reference.reports import grid_run

SIZE = (7.4, 4.6)


def point(label, qubits, error):
    return Point(label, *(Interval(low=0.9 * v, best=v, high=1.1 * v, level=0.95) for v in (float(qubits), error)))


def names(points, size=SIZE):
    """Boxes of the names beside points, and of the axes and the figure, in pixels; the names in the legend."""
    with drawing._styled({}):
        figure = drawing._drawn(lambda f: figures.staircase(f.subplots(), load_instruments(), points[0], others=points[1:]), size)
        figure.set_dpi(160)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        (axes,) = figure.axes
        wanted = {p.label for p in points}
        found = {
            t.get_text(): t.get_window_extent(canvas.get_renderer()) for t in axes.texts
            if any(t.get_text().startswith(w) for w in wanted) and t.get_text()
        }  # fmt: skip
        return found, axes.get_window_extent(), figure.bbox, [t.get_text() for t in axes.get_legend().get_texts()], axes.get_legend()


def readable(found, frame):
    for box in found.values():
        assert frame.x0 <= box.x0 < box.x1 <= frame.x1
        assert frame.y0 <= box.y0 < box.y1 <= frame.y1
    for (a, one), (b, other) in itertools.combinations(found.items(), 2):
        assert not one.overlaps(other), (a, b)


ALIKE = [(5, 6e-3), (5, 5e-3), (5, 6.4e-3)]
CLUSTERS = {
    "one": [(133, 4e-3)],
    "the same twice, and one near": [(133, 4.2e-3), (133, 4.21e-3), (105, 3.8e-3)],
    "three of one device and one far": [*ALIKE, (133, 4e-3)],
    "twelve at one place": [(40, 4e-3)] * 12,
    "twelve at the right end": [(2500 + k, 4e-3 + 1e-5 * k) for k in range(12)],
    "twelve in the upper corner": [(2500, 0.3 - 1e-3 * k) for k in range(12)],
    "a row": [(10 * 1.6**k, 4e-3) for k in range(10)],
    "a slope": [(20 + 5 * k, 1e-3 * 1.2**k) for k in range(8)],
    "two crowds": ALIKE * 2 + [(400 + k, 5e-3) for k in range(5)],
    "no error known": [(133, float("nan")), (120, float("nan")), (0, float("nan")), (3000, float("nan"))],
}


@pytest.mark.parametrize("letters", [6, 24, 41])
@pytest.mark.parametrize("cluster", CLUSTERS, ids=lambda c: c.replace(" ", "-"))
def test_names_of_points_lie_inside_the_axes_and_not_on_each_other(cluster, letters):
    name = "Name of a device, as long as names can be"
    points = [point(f"{k:03} {name}"[:letters], q, e) for k, (q, e) in enumerate(CLUSTERS[cluster])]
    found, axes, _, legend, _ = names(points)
    if letters == 6 or (letters == 24 and cluster != "a row"):
        assert len(found) == len(points)
    else:  # so long that they may stand in the legend, but then all do
        assert len(found) == len(points) or (not found and len([t for t in legend if t.startswith("0")]) == len(points))
    readable(found, axes)


@given(
    st.lists(st.tuples(st.integers(1, 3000), st.floats(1e-5, 0.5) | st.just(float("nan")), st.integers(0, 30)), min_size=1, max_size=14),
)
@settings(max_examples=15, deadline=None)
def test_any_points_have_names_that_can_be_read_there_or_in_the_legend(values):
    points = [point(f"n{k:02}{'m' * more}", q, e) for k, (q, e, more) in enumerate(values)]
    found, axes, _, legend, _ = names(points)
    readable(found, axes)
    labels = {p.label for p in points}
    assert labels == {t.split(":")[0] for t in found} or (not found and labels <= {t.split(":")[0] for t in legend})


def test_one_point_has_its_name_where_it_always_had_it():
    found, *_ = names([point("chip", 133, 4e-3)])
    with drawing._styled({}):
        figure = drawing._drawn(lambda f: figures.staircase(f.subplots(), load_instruments(), point("chip", 133, 4e-3)), SIZE)
        (axes,) = figure.axes
        (name,) = (t for t in axes.texts if t.get_text() == "chip")
        assert name.get_position() == pytest.approx((8, 6))
        assert (name.get_ha(), name.get_va()) == ("left", "baseline")
    assert list(found) == ["chip"]


def test_many_runs_have_their_names_in_the_legend_of_a_higher_figure():
    runs = [(f"device of night {k}", grid_run(seed=k, frontier=False)) for k in range(20)]
    plate = comparison_plates(runs)[0]
    found, axes, figure, legend, box = names([point(label, 9, 4e-3 + 1e-5 * k) for k, (label, _) in enumerate(runs)], plate.size)
    assert not found
    assert [label for label, _ in runs] == [t for t in legend if t.startswith("device")]
    frame = box.get_window_extent()
    assert figure.x0 <= frame.x0 < frame.x1 <= figure.x1
    assert figure.y0 <= frame.y0 < frame.y1 <= axes.y0
    assert axes.height > 0.4 * figure.height

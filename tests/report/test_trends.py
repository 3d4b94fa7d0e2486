import re

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from qthreshold.drift import find_drift
from qthreshold.report.drawing import _drawn, _styled, png, svg
from qthreshold.report.trends import SIZE, trend
from qthreshold.report.trendtext import drift_sentence, step_words, trend_text
from reference.histories import count_series, noise, series_of, works_series


def found(series, **more):
    return series, find_drift([series], **more)[0]


@pytest.fixture(scope="module")
def rising():
    return found(series_of(5e-3 * 1.04 ** np.arange(30) + 3e-4 * noise(30), error=3e-4, target="3-4", calibrated=5.0))


@pytest.fixture(scope="module")
def quiet():
    return found(series_of(5e-3 + 3e-4 * noise(30), error=3e-4))


@pytest.fixture(scope="module")
def stepping():
    return found(series_of(np.where(np.arange(30) < 15, 5e-3, 8e-3) + 3e-4 * noise(30), error=3e-4))


def test_the_sentence_answers_first(rising, quiet, stepping):
    span = r"\(95 %: -?[\d.]+ to [\d.]+ %"
    assert re.match(rf"C-NOT error of pair 3-4: rises by [34]\.\d % a day {span}\), alarm since 2026-11-\d\d", drift_sentence(rising[1]))
    assert re.match(rf"C-NOT error of pair 0-1: no clear trend {span} a day\), no alarm, now", drift_sentence(quiet[1]))
    assert "step up by 2.97e-3" in drift_sentence(stepping[1])
    assert "on 2026-11-16" in drift_sentence(stepping[1])


def test_sentences_of_what_stopped_or_was_never_seen():
    assert drift_sentence(found(works_series([1, 1, 1, 0]))[1]) == "Qubit 5: stopped working on 2026-11-04, works now with probability 0."
    assert "fewer for sure since 2026-11-04" in drift_sentence(found(count_series([7, 7, 7, 6]))[1])
    assert drift_sentence(found(series_of([1.0, 1.1, np.nan], status=["ok", "ok", "no_signal"]))[1]).count("can no longer be fitted") == 1
    assert drift_sentence(found(series_of([np.nan]))[1]) == "C-NOT error of pair 0-1: no data."
    assert "too few runs for a trend" in drift_sentence(found(series_of([1.0]))[1])


def test_an_alarm_to_the_better_says_so():
    x = np.append(5e-3 + 3e-4 * noise(20), np.full(6, 2e-3))
    assert "(falls to the better" in drift_sentence(found(series_of(x, error=3e-4))[1])


def test_a_step_that_may_be_nothing_reaches_0(stepping):
    size = stepping[1].changes[0].size
    assert "(0 to " in step_words("cnot_error", size.replace(low=-1e-4))
    assert step_words("working_qubits", size.replace(low=-1.0, best=-1.0, high=-1.0)) == "down by 1"


@pytest.mark.parametrize(("hours", "words"), [(2 / 60, "2 minutes"), (1.0, "1 hour"), (23.0, "23 hours")])
def test_no_change_a_day_is_said_of_less_than_a_day(hours, words):
    runs = series_of(5e-3 + 3e-4 * noise(4), error=3e-4)
    series, drift = found(runs.replace(taken_at=runs.taken_at[0] + hours * 3600 * np.linspace(0, 1, 4)))
    assert drift_sentence(drift).startswith(f"C-NOT error of pair 0-1: too short a time for a trend ({words}), ")
    assert "a day" not in trend_text(series, drift)
    assert "trend" not in legend(drawn(series, drift))
    assert drift.as_dict()["trend_per_day"]["best"] == drift.trend.best  # the numbers are there for who wants them
    assert drift.as_dict()["days"] == pytest.approx(hours / 24)


def test_a_day_is_enough_for_a_trend():
    assert found(series_of([5e-3, 5e-3, np.nan], error=3e-4))[1].days == 1
    runs = series_of(5e-3 + 3e-4 * noise(4), error=3e-4)
    assert "a day" in drift_sentence(found(runs.replace(taken_at=runs.taken_at[0] + 24.01 * 3600 * np.linspace(0, 1, 4)))[1])


def test_counts_are_whole_and_steady_or_not():
    assert drift_sentence(found(count_series([5] * 12))[1]) == "Number of connected working qubits: steady, no alarm, now 5."
    assert "now 1,200 (1,150 to 1,249)" in drift_sentence(found(count_series([1200] * 4, [1150] * 4, [1249] * 4))[1])
    assert re.search(r"rises by 1 a day \(95 %: [\d.]+ to [\d.]+\)", drift_sentence(found(count_series(range(12, 18)))[1]))


def chart_of(text):
    """Lines of the chart: what stands right of the axis."""
    return [line.split("|", 1)[1] for line in text.splitlines() if "|" in line]


def test_the_chart_has_every_estimate_in_its_place(rising):
    series, drift = rising
    lines = chart_of(trend_text(series, drift, height=10))
    assert len(lines) == 10
    heights = [next(10 - i for i, line in enumerate(lines) if line[2 * k : 2 * k + 1] == "o") for k in range(30)]
    order = np.argsort(np.argsort(series.best))
    assert np.corrcoef(heights, order)[0, 1] > 0.9
    assert max(heights) - min(heights) >= 7


def test_the_chart_marks_alarm_and_step_under_their_runs(stepping):
    series, drift = stepping
    text = trend_text(series, drift)
    left = text.splitlines()[1].index("|") + 1
    lines = {line.strip(): line for line in text.splitlines()}
    assert lines["s"][left + 2 * 15 :] == "s"
    assert lines["!"][left + 2 * series.run_ids.index(drift.alarm.run_id) :] == "!"
    assert "s step, ! alarm" in text
    assert text.isascii()


def test_what_falls_on_one_night_is_marked_in_full(stepping):
    series, drift = stepping
    calibrated = series.replace(calibrated_at=np.where(np.arange(30) < 15, series.taken_at[0], series.taken_at[15]))
    text = trend_text(calibrated, drift.replace(alarm=drift.alarm.replace(run_id=drift.changes[0].run_id)))
    found = [line for line in text.splitlines() if line.strip() in ("c", "s", "!")]
    assert [line.strip() for line in found] == ["c", "s", "!"]
    assert len({len(line) for line in found}) == 1
    assert "c newly calibrated, s step, ! alarm" in text


@pytest.mark.parametrize("runs", [1, 2, 40, 500])
@pytest.mark.parametrize("width", [30, 76])
def test_no_line_of_the_chart_is_too_wide(runs, width):
    text = trend_text(*found(series_of(1 + 0.1 * noise(runs))), width=width)
    assert all(len(line) <= width for line in chart_of(text))
    assert sum("o" in line for line in chart_of(text)) >= 1


def test_values_that_are_all_alike_or_missing_have_a_chart_too():
    assert "o o o" in trend_text(*found(count_series([5, 5, 5])))
    assert "no value to draw" in trend_text(*found(series_of([np.nan, np.nan])))


def drawn(series, drift):
    figure = Figure(figsize=SIZE)
    axes = figure.subplots()
    trend(axes, series, drift)
    return axes


def legend(axes):
    return [t.get_text() for t in axes.get_legend().get_texts()]


def test_the_figure_shows_values_trend_steps_calibrations_and_the_alarm(rising, stepping):
    axes = drawn(*rising)
    labels = legend(axes)
    assert {"trend", "calibrated"} <= set(labels)
    assert any(t.startswith("alarm 2026-11-") and t.endswith(": rises") for t in labels)
    points = next(c for c in axes.containers if c.get_label().startswith("estimate"))
    assert points.lines[0].get_ydata() == pytest.approx(rising[0].best)
    axes = drawn(*stepping)
    assert "step" in legend(axes)
    step = next(line for line in axes.lines if line.get_label() == "step")
    assert np.datetime64(step.get_xdata()[0]) == stepping[0].taken_at[15].astype("datetime64[s]")


def test_the_bar_at_the_foot_is_named_and_the_legend_stays_inside_the_figure():
    x = np.where(np.arange(30) < 15, 5e-3, 8e-3) + 1.5e-3 * noise(30)
    x[27:] = np.nan
    series, drift = found(series_of(x, error=1.5e-3, calibrated=5.0))
    (step,) = drift.changes
    assert step.latest > step.earliest
    with _styled({}):
        figure = _drawn(lambda f: trend(f.subplots(), series, drift), SIZE)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
    (axes,) = figure.axes
    assert legend(axes).count("interval of the step") == 1
    bar = next(line for line in axes.lines if line.get_label() == "interval of the step")
    assert [np.datetime64(t, "s") for t in bar.get_xdata()] == [np.datetime64(int(t), "s") for t in (step.earliest, step.latest)]
    box, frame = axes.get_legend().get_window_extent(canvas.get_renderer()), axes.get_window_extent()
    assert frame.y1 <= box.y0 < box.y1 <= figure.bbox.y1
    assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
    sharp = found(series_of(np.where(np.arange(30) < 15, 5e-3, 8e-3) + 3e-5 * noise(30), error=3e-5))
    assert sharp[1].changes[0].latest == sharp[1].changes[0].earliest
    assert "interval of the step" not in legend(drawn(*sharp))


def test_runs_without_a_number_are_marked_and_the_line_ends_where_values_do():
    x = np.append(5e-3 + 3e-4 * noise(20), np.full(5, np.nan))
    series, drift = found(series_of(x, error=3e-4))
    axes = drawn(series, drift)
    assert "no number" in legend(axes)
    line = next(li for li in axes.lines if li.get_label() == "trend")
    assert np.datetime64(line.get_xdata()[-1], "s") <= series.taken_at[19].astype("datetime64[s]")


@pytest.mark.parametrize("values", [[], [np.nan, np.nan], [1.0], [0.0, 0.0, 0.0], [1.0] * 400])
def test_every_series_can_be_drawn(values):
    series, drift = found(series_of(values, error=0.0))
    text = svg(lambda figure: trend(figure.subplots(), series, drift), SIZE, "t", "A trend.", inline=True)
    assert 'aria-label="A trend."' in text
    assert drawn(*found(count_series([7, 7, 7, 6, 6]))).get_ylabel() == "connected qubits"


@pytest.mark.parametrize("value", [1.84e-2, 2.5e-6, 0.42, 1.0])
def test_the_label_of_the_axis_is_whole_whatever_stands_beside_it(value):
    size, boxes = SIZE, []

    def draw(figure):
        trend(figure.subplots(), *found(series_of([value], error=value / 7)))
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        label, ticks = figure.axes[0].yaxis.label, figure.axes[0].get_yticklabels()
        boxes.append((label.get_window_extent().x0, [label.get_window_extent().x1 <= t.get_window_extent().x0 + 1 for t in ticks if t.get_text()]))

    png(draw, size)
    left, apart = boxes[0]
    assert left >= 0
    assert all(apart)

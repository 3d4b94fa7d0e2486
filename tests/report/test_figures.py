"""Figures against the records that they draw: what is asked is where things stand, not how they look."""

import ast
import dataclasses
import inspect
import io
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Console

from qthreshold.errors import InputError
from qthreshold.identity import Interval
from qthreshold.report import drawing, figures, plates
from qthreshold.report.chip import map_alt
from qthreshold.report.content import key_figures, worst_pair_rows
from qthreshold.report.content import pair_rows as content_rows
from qthreshold.report.plates import comparison_plates, pair_rows, run_plates
from qthreshold.report.points import Point, metrics_point, stated_point
from qthreshold.report.runs import run_labels
from qthreshold.report.summary import make_summary
from qthreshold.report.text import render
from qthreshold.report.words import number
from qthreshold.rulebook import load_instrument, load_instruments
from reference.devices import device_of
from reference.reports import grid_run, no_counts, nothing_left, one_pair_lost, readout_lost, reference_only, run_of

RUN = grid_run(rows=6, columns=7)


def exactly(value):
    return Interval(low=value, best=value, high=value, level=0.95)


def axes():
    return Figure().subplots()


def line_of(ax, label):
    return next(line for line in ax.lines if str(line.get_label()).startswith(label))


def test_figures_fit_nothing():
    """They import no function that estimates: only codes, and what makes a band from a covariance."""
    for module in (figures, plates):
        names = [
            f"{node.module}.{a.name}"
            for node in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(node, ast.ImportFrom) for a in node.names
        ]  # fmt: skip
        estimating = re.compile(r"fit_|make_(fits|metrics|frontier)|interleaved_error|joint_|maximise|scipy")
        assert not [n for n in names if estimating.search(n)], names


def test_the_staircase_stands_at_the_limits_of_the_law():
    ax, us = axes(), load_instrument("us-ear")
    figures.staircase(ax, [us], metrics_point("a", RUN.metrics))
    x, y = max((line.get_data() for line in ax.lines), key=lambda d: len(d[0]))  # the longest line
    for band in us.bands:
        inside = np.sqrt(band.min_qubits * (band.max_qubits or 2 * band.min_qubits))
        last = max(i for i, v in enumerate(x) if v <= inside)
        assert y[last] == (band.max_error if band.max_error is not None else ax.get_ylim()[1])


def test_instruments_with_the_same_bands_share_a_staircase_and_others_have_their_own():
    ax = axes()
    mine = load_instrument("us-ear").model_copy(update={"jurisdiction": "Here", "bands": load_instrument("us-ear").bands[:2]})
    figures.staircase(ax, [*load_instruments(), mine], metrics_point("a", RUN.metrics))
    labels = [str(line.get_label()) for line in ax.lines if "limit" in str(line.get_label())]
    assert len(labels) == 2
    assert sum("Here" in t for t in labels) == 1


def test_the_device_stands_at_its_count_and_mean_with_its_draws_and_parts():
    ax = axes()
    figures.staircase(ax, RUN.instruments, metrics_point("chip", RUN.metrics), metrics=RUN.metrics, frontier=RUN.frontier, truth=5e-3)
    point = ax.containers[0].lines[0]
    assert point.get_data()[0].tolist() == [RUN.metrics.connected_working_qubits.best]
    assert point.get_data()[1].tolist() == [RUN.metrics.mean.best]
    cloud = line_of(ax, "joint draws").get_data()
    assert 0 < len(cloud[0]) <= 600
    assert abs(np.mean(cloud[1]) / RUN.metrics.mean.best - 1) < 0.05
    np.testing.assert_array_equal(line_of(ax, "best connected part").get_data()[1], RUN.frontier.cross[:, 0])
    np.testing.assert_array_equal(line_of(ax, "proven").get_data()[1], RUN.frontier.bound)
    assert line_of(ax, "true mean").get_data()[1] == [5e-3]
    assert "chip" in [t.get_text() for t in ax.texts]


@pytest.mark.parametrize(("qubits", "error"), [(1, 0.3), (5, 1e-9), (100_000, 0.9), (40, float("nan")), (34, -1e-5)])
def test_any_device_stands_inside_the_picture(qubits, error):
    ax = axes()
    figures.staircase(ax, RUN.instruments, Point("x", exactly(qubits), exactly(error)))
    left, right = ax.get_xlim()
    assert left < qubits < right
    marks = [c.lines[0] for c in ax.containers] or [line for line in ax.lines if len(line.get_xdata()) == 1]
    y = [v for mark in marks for v in mark.get_ydata()]
    low, high = ax.get_ylim()
    assert y
    assert all(low < v < high for v in y)


def test_a_decay_shows_every_sequence_the_fit_and_a_band_that_holds_the_means_as_often_as_it_should():
    ax, d, f = axes(), RUN.decays, RUN.fits
    figures.decay(ax, d, f, 3)
    share = d.two_qubit_survived[:, 3] / d.two_qubit_shots[:, 3]
    shown = np.concatenate([np.ravel(line.get_ydata()) for line in ax.lines])
    for value in share.ravel():
        assert np.isclose(shown, value).any()
    a, b = f.curve[3]
    for arm, p in enumerate((f.p_ref[3, 0], f.p_int[3, 0])):
        x, y = [line for line in ax.lines if len(line.get_xdata()) == 80][arm].get_data()
        np.testing.assert_allclose(y, a * p**x + b)


def test_the_band_of_a_fit_holds_the_true_curve_as_often_as_its_level_says():
    """Pointwise 95 % bands at the longest length, over 400 pairs and both arms; binomial tolerance of five standard deviations."""
    held = total = 0
    for seed in range(4):
        run = grid_run(rows=8, columns=7, seed=seed, frontier=False)
        length = run.decays.two_qubit_lengths[2:3]
        for row, true in enumerate(run.truth.cnot_error):
            p_ref = 1 - 4 / 3 * 3 * true
            for arm, p in enumerate((p_ref, p_ref * (1 - 4 / 3 * true))):
                curve, half = figures._curve(run.fits, row, arm, length)
                held += abs(curve[0] - (0.25 + 0.72 * p ** length[0])) <= half[0]
                total += 1
    assert abs(held - 0.95 * total) < 5 * np.sqrt(total * 0.95 * 0.05) + 0.02 * total  # few sequences: the normal band is a little narrow


def test_residuals_are_means_less_the_fit():
    ax, d, f = axes(), RUN.decays, RUN.fits
    figures.residuals(ax, d, f, 5)
    a, b = f.curve[5]
    for arm, p in enumerate((f.p_ref[5, 0], f.p_int[5, 0])):
        mean = (d.two_qubit_survived[arm, 5] / d.two_qubit_shots[arm, 5]).mean(axis=1)
        np.testing.assert_allclose(ax.containers[arm].lines[0].get_ydata(), 100 * (mean - a * p**d.two_qubit_lengths - b), atol=1e-12)


def test_a_pair_without_a_fit_shows_its_points_and_no_curve():
    run, ax = grid_run(change=nothing_left), axes()
    figures.decay(ax, run.decays, run.fits, 0)
    assert ax.lines
    assert not [line for line in ax.lines if len(line.get_xdata()) == 80]


def test_the_histogram_counts_every_pair_with_an_estimate():
    run, ax = grid_run(change=one_pair_lost), axes()
    figures.histogram(ax, run.fits.cnot[:, 0], run.metrics.mean.best, [("1e-3", 1e-3)])
    assert sum(p.get_height() for p in ax.patches) == np.isfinite(run.fits.cnot[:, 0]).sum() == len(run.device.edges) - 1
    assert 1e-3 in [line.get_xdata()[0] for line in ax.lines]


def line_with_a_dead_qubit():
    """A line of 8 whose best and worst pair lead to qubit 6, which does not work: six qubits and five pairs count."""
    true = np.array([5e-3, 6e-3, 7e-3, 8e-3, 9e-3, 1e-3, 1.5e-2])
    return run_of(device_of([(q, q + 1) for q in range(7)], "cz", 8), true, np.random.default_rng(1), change=readout_lost)


def test_best_median_and_worst_are_of_counted_pairs_wherever_they_are_named():
    run = line_with_a_dead_qubit()
    s, m = make_summary(run), run.metrics
    assert m.member_edges.tolist() == [0, 1, 2, 3, 4]
    assert np.isfinite(run.fits.cnot[:, 0]).all()
    best = run.fits.cnot[:5, 0]
    names = {"Worst": best.argmax(), "Median": best.argsort()[2], "Best": best.argmin()}
    assert pair_rows(run, "") == [(f"{word}: pair {k}-{k + 1}", k) for word, k in names.items()]
    found = {p.name: p for p in run_plates(run, s)}
    low, middle, high = (number(v) for v in (m.best.best, m.median.best, m.worst.best))
    assert found["histogram"].alt.startswith(f"5 counted pairs from {low} to {high}, median {middle};")
    assert found["histogram"].alt.endswith("; 2 pairs from " + " to ".join(number(v) for v in run.fits.cnot[5:, 0]) + " not counted.")
    alt = map_alt(run.device, run.fits, m)
    assert f"worst pair {names['Worst']}-{names['Worst'] + 1} at " in alt
    assert f"best {names['Best']}-{names['Best'] + 1} at " in alt
    assert "2 pairs measured but not counted" in alt
    assert f"median {middle}" in key_figures(s)[1].value
    assert "6-7" not in [row[0] for row in worst_pair_rows(s)]
    spread = comparison_plates([("a", run), ("b", run)])[1]
    assert f"a: {middle}, b: {middle}" in spread.alt
    assert spread.title == "C-NOT errors of the counted pairs"
    text = io.StringIO()
    Console(file=text, width=100).print(render(s, "runs/a"))
    table = text.getvalue().partition("worst pairs")[2]
    assert "4-5" in table
    assert "6-7" not in table


def test_a_pair_that_is_not_counted_says_so():
    run = line_with_a_dead_qubit()
    s = make_summary(run)
    (shown,) = (p for p in run_plates(run, s, pairs="6-7") if p.group == "decays")
    assert "; not counted; " in shown.alt
    status = {row[0]: row[-1] for row in content_rows(s)}
    assert status["6-7"].startswith("ok, not counted")
    assert "not counted" not in status["0-1"]
    ax = axes()
    figures.histogram(ax, run.fits.cnot[:5, 0], run.metrics.mean.best, [], rest=run.fits.cnot[5:, 0])
    assert sum(p.get_height() for p in ax.patches if p.get_facecolor()[3]) == 5
    assert sum(p.get_height() for p in ax.patches) == 7
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["not counted"]


def test_where_no_pair_is_counted_numbers_of_all_pairs_say_so():
    run = grid_run(change=lambda decays: decays.replace(readout_wrong=decays.readout_shots // 2), frontier=False)
    assert not run.metrics.member_edges.size
    assert np.isfinite(run.fits.cnot[:, 0]).any()
    found = {p.name: p for p in run_plates(run, make_summary(run))}
    assert "none of them counted, from" in found["histogram"].alt
    assert all("; not counted; " in p.alt for p in found.values() if p.group == "decays")
    assert "No pair of a and b is counted" in comparison_plates([("a", run), ("b", run)])[1].caption


@pytest.mark.parametrize("mean", [6e-6, 1e-3, 2.33e-2, 4.9e-2])
@pytest.mark.parametrize("limits", [[], [1e-4, 1e-3], [6e-2, 7e-2], [6e-3]])
def test_names_of_lines_in_the_histogram_stay_inside_it(mean, limits):
    def draw(figure):
        figures.histogram(figure.subplots(), np.geomspace(5e-6, 5e-2, 9), mean, [(f"{v:g}, limit at this size", v) for v in limits])

    with drawing._styled({}):
        figure = drawing._drawn(draw, (4.7, 3.6))
        figure.set_dpi(160)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        (ax,) = figure.axes
        frame, boxes = ax.get_window_extent(), [t.get_window_extent(canvas.get_renderer()) for t in ax.texts]
    assert len(boxes) == 1 + len(limits)
    for k, box in enumerate(boxes):
        assert frame.x0 <= box.x0 < box.x1 <= frame.x1
        assert not any(box.overlaps(other) for other in boxes[:k])


def test_estimates_that_miss_the_truth_are_the_squares():
    ax, f = axes(), RUN.fits
    figures.truth(ax, RUN.truth, f)
    missed = (RUN.truth.cnot_error < f.cnot[:, 1]) | (RUN.truth.cnot_error > f.cnot[:, 2])
    squares = [c.lines[0] for c in ax.containers if c.lines[0].get_marker() == "s"]
    assert sum(len(s.get_xdata()) for s in squares) == missed.sum()


def test_thousands_of_pairs_thin_out_to_a_sample_with_both_ends():
    rows = np.arange(5000)
    kept = figures._sampled(rows)
    assert len(kept) == 400
    assert (kept[0], kept[-1]) == (0, 4999)


def test_worst_median_and_best_are_what_they_say():
    best = RUN.fits.cnot[:, 0]
    titles = pair_rows(RUN, "")
    assert [t.split(":")[0] for t, _ in titles] == ["Worst", "Median", "Best"]
    rows = [r for _, r in titles]
    assert best[rows[0]] == best.max()
    assert best[rows[2]] == best.min()
    assert (best < best[rows[1]]).sum() == len(best) // 2


def test_pairs_can_be_named_either_way_round_or_all():
    assert pair_rows(RUN, "1-0, 0-1,0-7") == [("Pair 0-1", 0), ("Pair 0-7", 1)]
    assert len(pair_rows(RUN, "all")) == len(RUN.device.edges)


@pytest.mark.parametrize("pairs", ["0-40", "x", "0-1,5", "-", "0-1-7", ","])
def test_a_pair_that_was_not_measured_is_named(pairs):
    with pytest.raises(InputError, match=r"--pairs: no pair .*; measured were 0-1, 0-7"):
        pair_rows(RUN, pairs)


@pytest.mark.parametrize("change", [None, nothing_left, no_counts, one_pair_lost, reference_only], ids=lambda c: getattr(c, "__name__", "plain"))
def test_every_figure_is_sound_svg_in_the_colours_of_the_page(change):
    run = grid_run(change=change, rows=1 if change is no_counts else 3, columns=2 if change is no_counts else 3)
    seen = []
    for plate in run_plates(run, make_summary(run)):
        text = plate.svg(inline=True)
        root = ET.fromstring(text)
        assert root.get("role") == "img"
        assert root.get("aria-label") == f"{plate.title}. {plate.alt}"
        assert plate.alt.endswith(".")
        assert "nan" not in plate.alt
        assert not [v for v in drawing.COLOURS.values() if v in text]
        seen += re.findall(r' id="([^"]+)"', text)
        for used in re.findall(r'(?:url\(#|href="#)([^)"]+)', text):
            assert used in seen
        assert plate.svg(inline=True) == text  # the same every time
        alone = plate.svg(inline=False)
        assert "var(" not in alone
        ET.fromstring(alone)
        assert plate.png().startswith(b"\x89PNG")
    assert len(seen) == len(set(seen))


def test_a_name_is_text_in_a_figure_whatever_it_is():
    for name, shown in (
        ('\x07<script>alert(1)</script>', "<script>alert(1)</scrip..."),
        ('"$\\alpha$" &amp; \u202e\udcffx', '"$\\alpha$" &amp; x'),
        ('v1.23456 #1b1f27', 'v1.23456 #1b1f27'), ('id="a" url(#a) href="#b"', 'id="a" url(#a) href="#b"'), ("x" * 500, "x" * 23 + "..."),
    ):  # fmt: skip
        run = grid_run(name=name)
        (stairs, *_) = run_plates(run, make_summary(run))
        for inline in (True, False):
            text = stairs.svg(inline=inline)
            assert "<script" not in text
            assert shown in "".join(ET.fromstring(text).itertext())


@pytest.mark.parametrize("created", [["2026-11-25T12:00:00Z", "2026-11-25T12:01:00Z"], ["2026-11-25T12:00:00Z"] * 2])
def test_what_tells_two_runs_apart_is_not_cut_off_in_a_figure(created):
    runs = [grid_run(name="a device with a name of some length and longer than what is shown of any", frontier=False) for _ in created]
    for k, (run, at) in enumerate(zip(runs, created, strict=True)):
        run.header.update(created_at=at, run_id=f"{k}1b9ecea00000000")
    labels = run_labels(runs)
    assert len(set(labels)) == 2
    for plate in comparison_plates(list(zip(labels, runs, strict=True))):
        words = "".join(ET.fromstring(plate.svg(inline=False)).itertext())
        for label in labels:
            assert "a device with a name of..., " + label.rpartition(", ")[2] in words


def test_coverage_is_counted_and_set_beside_what_was_to_be_expected():
    truth = next(p for p in run_plates(RUN, make_summary(RUN)) if p.name == "truth")
    f = RUN.fits.cnot
    held = ((f[:, 1] <= RUN.truth.cnot_error) & (RUN.truth.cnot_error <= f[:, 2])).sum()
    assert truth.alt.startswith(f"{held} of {len(f)} intervals hold the true error; 95 % intervals should hold {0.95 * len(f):.0f}, give or take")


def test_isolated_and_simultaneous_are_set_beside_each_other_where_both_were_run():
    other = grid_run(rows=6, columns=7, errors=(4e-3, 16e-3), context="simultaneous")
    plate = next(p for p in run_plates(RUN, make_summary(RUN), others=[("all at once", other)]) if "all at once" in p.title)
    both = np.isfinite(other.fits.cnot[:, 0])
    ratio = other.fits.cnot[both, 0].mean() / RUN.fits.cnot[both, 0].mean()
    assert f"{ratio:.3g} times the mean error" in plate.alt
    same = run_plates(RUN, make_summary(RUN), others=[("the next night", grid_run(rows=6, columns=7, seed=2))])
    assert not [p for p in same if "the next night" in p.title]


def test_two_machines_of_one_kind_are_not_compared_as_isolated_and_simultaneous():
    kinds = (("A", "isolated"), ("B", "simultaneous"), ("A", "simultaneous"))
    a, b, c = (grid_run(name=name, context=context, seed=seed) for seed, (name, context) in enumerate(kinds))
    assert not [p for p in run_plates(a, make_summary(a), others=[("b", b)]) if p.name.startswith("contexts")]
    again = grid_run(name="A", context="simultaneous", seed=9)
    names = [p.name for p in comparison_plates([("a", a), ("c", c), ("again", again)])]
    assert names == ["staircase", "distribution", "contexts-1", "contexts-2"]
    names = [p.name for p in run_plates(a, make_summary(a), others=[("c", c), ("again", again)])]
    assert len(names) == len(set(names))


def test_truth_beside_pairs_that_ran_at_once_is_that_of_each_pair_alone():
    run = grid_run(rows=5, columns=5, context="simultaneous")
    plates_ = {p.name: p for p in run_plates(run, make_summary(run))}
    assert "should hold" not in plates_["truth"].alt
    assert "each pair alone" in plates_["truth"].caption
    assert "true mean, each pair alone" in plates_["staircase"].svg(inline=False)


def test_upper_estimates_claim_no_coverage():
    run = grid_run(rows=5, columns=5, change=reference_only)
    truth = next(p for p in run_plates(run, make_summary(run)) if p.name == "truth")
    assert truth.alt == "40 of 40 upper estimates lie at or above the true error, as they should."


def test_only_instruments_that_give_a_verdict_have_a_staircase_and_limits():
    run = grid_run(rows=6, columns=7)
    deciding = [i for i, v in zip(run.instruments, run.verdicts.verdicts, strict=True) if v.position is not None]
    assert len(deciding) < sum(bool(i.bands) for i in run.instruments)
    text = run_plates(run, make_summary(run))[0].svg(inline=False)
    assert f"an entry is met ({deciding[0].jurisdiction} and {len(deciding) - 1} more)" in text
    none = dataclasses.replace(run, verdicts=run.verdicts.replace(verdicts=(), alternatives=()))
    stairs = run_plates(none, make_summary(none))[0]
    assert "no limit is drawn" in stairs.caption
    assert "an entry is met" not in stairs.svg(inline=False)


def test_a_device_without_qubits_is_said_to_be_there():
    run = grid_run(change=nothing_left)
    assert "no qubit counted" in run_plates(run, make_summary(run))[0].svg(inline=False)


def test_no_band_is_drawn_where_the_asymptote_was_fitted_too():
    def shifted(decays):  # ends near 0.45
        d = decays.two_qubit_survived + (0.2 * (decays.two_qubit_shots - decays.two_qubit_survived)).astype(int)
        return decays.replace(two_qubit_survived=d)

    run = grid_run(errors=(8e-3, 12e-3), change=shifted)
    rows = [r for r, s in enumerate(run.fits.edge_status) if s == "asymptote_shifted"]
    assert rows
    assert np.isnan(run.fits.curve_covariance[rows]).all()
    plate = next(p for p in run_plates(run, make_summary(run), pairs="all") if "asymptote shifted" in p.alt)
    assert "no band" in plate.alt


def test_colours_of_figures_are_those_of_the_page():
    light = (Path(plates.__file__).parent / "templates" / "page.css").read_text().partition("}")[0]
    assert {n: v for n, v in re.findall(r"--(\w+): (#\w+)", light) if n in drawing.COLOURS} == drawing.COLOURS


def test_a_comparison_names_the_best_run():
    runs = [("good", grid_run(errors=(1e-3, 2e-3))), ("bad", RUN), ("none", grid_run(change=nothing_left))]
    stairs, spread = comparison_plates(runs)
    assert "of good" in stairs.alt
    for label in ("good", "bad"):
        assert label in spread.alt
    ET.fromstring(stairs.svg(inline=True))
    ET.fromstring(spread.svg(inline=True))


@pytest.mark.parametrize("text", ["a", "a=", "a=1", "a=1,2,3", "  =5,1e-3", "=5,1e-3", "a=x,1e-3", "a=0,1e-3", "a=5,0", "a=5,1", "a=5,nan"])
def test_a_stated_point_that_cannot_be_is_refused(text):
    with pytest.raises(InputError, match="LABEL=QUBITS,ERROR"):
        stated_point(text)

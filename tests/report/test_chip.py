import itertools
import re
import xml.etree.ElementTree as ET
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qthreshold.backends.profiles import build, load_profile
from qthreshold.report.chip import device_map, map_alt
from qthreshold.report.colours import PALETTE, contrast
from reference.devices import device_of, line_device
from reference.fitted import fitted_of, metrics_of

SVG = "{http://www.w3.org/2000/svg}"
BAD, MUTED = "#b3261e", "#6b7280"


def drawn(device, *, standalone=True, criteria=None, **values):
    fits = fitted_of(device, **values)
    return device_map(device, fits, metrics_of(device, fits, **(criteria or {})), standalone=standalone)


class Picture:
    """An SVG, read back.

    Attributes:
        rows: Elements by ``data-row``.
        look: The attributes of each, with what it inherits.
    """

    def __init__(self, svg):
        self.root = ET.fromstring(svg)
        self.rows, self.look, self.texts = {}, {}, []
        self._walk(self.root, {})

    def _walk(self, element, inherited):
        look = inherited | element.attrib
        if "data-row" in element.attrib:
            assert element.attrib["data-row"] not in self.rows
            self.rows[element.attrib["data-row"]] = element
            self.look[element.attrib["data-row"]] = look
        if element.tag.removeprefix(SVG) == "text":
            self.texts.append((element.text, look))
        for child in element:
            self._walk(child, look)

    def of(self, what):
        return {row: look for row, look in self.look.items() if row.startswith(what)}


def check(svg, device):
    """Well formed, and every pair and qubit in it once, at most one decimal of a pixel."""
    picture = Picture(svg)
    pairs = {f"pair-{a}-{b}" for a, b in device.edges.tolist()}
    assert picture.rows.keys() == pairs | {f"qubit-{q}" for q in range(device.n_qubits)}
    assert all(look["class"] == ("e" if row in pairs else "q") for row, look in picture.look.items())
    assert not re.search(r'(?:[MLHVQmlhv ]|(?:cx|cy|x|y|r|width|height)=")-?\d+\.\d\d', svg)
    assert "nan" not in re.sub(r"<title>.*</title>", "", svg)
    left, top, width, height = map(float, picture.root.attrib["viewBox"].split())
    assert (left, top) == (0, 0)
    assert float(picture.root.attrib["width"]) == width <= 900
    assert float(picture.root.attrib["height"]) == height <= 1050
    return picture


def hurt():
    """A line of 12 with an absent qubit, a faulty pair and an absent pair that cuts off two working qubits."""
    error = np.full(11, 5e-3)
    error[6] = 0.6
    return line_device("cz", 12, edge_error=error, absent_qubits={2: "dead"}, absent_edges={9: "cut"})


DEVICES = {
    "line": line_device("cz", 5), "hurt": hurt(), "one qubit": device_of([], "cz", 1), "no pairs": device_of([], "cz", 9),
    "one pair": device_of([(1, 0)], "cz", 2), "all to all": device_of(list(itertools.combinations(range(14), 2)), "rzz", 14),
    "star": device_of([(0, q) for q in range(1, 8)], "cx", 8), "islands": device_of([(0, 1), (2, 3), (3, 4)], "cz", 7),
}  # fmt: skip


@pytest.mark.parametrize("standalone", [True, False])
@pytest.mark.parametrize("name", DEVICES)
def test_every_pair_and_qubit_is_there_once(name, standalone):
    check(drawn(DEVICES[name], standalone=standalone), DEVICES[name])


@pytest.mark.parametrize(("profile", "most"), [("heron-133", 60_000), ("grid-2025", 700_000), ("heavy-hex-1121", 400_000), ("ions-56", 250_000)])
def test_large_devices_stay_small(profile, most):
    device = build(load_profile(profile)).device
    for standalone in (True, False):
        svg = drawn(device, standalone=standalone)
        check(svg, device)
        assert len(svg.encode()) < most


def test_a_file_of_its_own_says_what_it_is_and_needs_no_page():
    device = line_device("cz", 5, name='<a & "b">\x00')
    svg = drawn(device)
    picture = check(svg, device)
    assert "var(" not in svg
    assert picture.root.find(f"{SVG}title").text == 'Device map of <a & "b">'
    assert picture.root.find(f"{SVG}desc").text == picture.root.attrib["aria-label"]
    assert picture.root.find(f"{SVG}rect").attrib["fill"] == "#ffffff"


def test_in_a_page_inks_follow_it_and_nothing_else_is_told():
    device = line_device("cz", 5, name="<script>", absent_edges={1: "<b>why"}, absent_qubits={4: "<i>why"})
    svg = drawn(device, standalone=False)
    assert set(re.findall(r"var\(--(\w+), #[0-9a-f]{6}\)", svg)) == {"ink", "paper", "bad"}
    assert "title" not in svg
    assert "xmlns" not in svg
    assert "script" not in svg
    assert "why" not in svg
    root = ET.fromstring(svg)
    assert root.attrib["role"] == "img"
    assert root.attrib["style"] == "max-width:100%;height:auto"


def test_the_sentence():
    device = hurt()
    fits = fitted_of(device, cnot=[1e-3, 2e-3, 3e-3, np.nan, 9.12e-3, 6e-3, 7e-3][: len(device.usable_edges)])
    assert map_alt(device, fits, metrics_of(device, fits)) == (
        "12 qubits, 11 pairs; C-NOT error: worst pair 4-5 at 3.0e-3, best 3-4 at 2.0e-3; 9 qubits not counted, "
        "4 pairs measured but not counted, 5 pairs failed or excluded."
    )
    part = fitted_of(line_device("cz", 4), edges=[1], estimate="upper")
    assert map_alt(line_device("cz", 4), part, metrics_of(line_device("cz", 4), part)) == (
        "4 qubits, 3 pairs; upper estimate of the C-NOT error 5.0e-3; 2 qubits not counted, 2 pairs not measured."
    )
    alone = device_of([], "cz", 1)
    none = fitted_of(alone)
    assert map_alt(alone, none, metrics_of(alone, none)) == "1 qubit, 0 pairs; no C-NOT error measured; 1 qubit not counted."


@pytest.mark.parametrize("n", [20, 400])
def test_the_worse_the_darker(n):
    device = line_device("cz", n)
    error, readout = np.geomspace(1e-3, 2e-2, n - 1), np.geomspace(5e-3, 0.1, n)
    picture = Picture(drawn(device, cnot=error, readout=readout, criteria={"cnot_error": 0.1, "readout_error": 0.2}))
    light = [contrast(picture.look[f"pair-{i}-{i + 1}"]["stroke"], "#000000") for i in range(n - 1)]
    assert (np.diff(light) <= 0).all()
    assert light[0] > 5 * light[-1]
    light = [contrast(picture.look[f"qubit-{q}"]["fill"], "#000000") for q in range(n)]
    assert (np.diff(light) <= 0).all()
    assert light[0] > 5 * light[-1]


def test_among_many_lines_the_worst_are_on_top():
    device = DEVICES["all to all"]
    error = np.random.default_rng(1).permutation(np.geomspace(1e-3, 2e-2, len(device.edges)))
    svg = drawn(device, cnot=error)
    level = [PALETTE.index(look["stroke"]) for row, look in Picture(svg).look.items() if row.startswith("pair")]
    assert level == sorted(level)
    a, b = device.edges[error.argmax()]
    assert f"worst pairs: {a}-{b} 2.0e-2, " in svg


def test_what_failed_what_is_missing_and_what_is_cut_off_differ_by_more_than_colour():
    device = hurt()
    measured = device.usable_edges[[0, 1, 2, 3, 4, 6]]
    error = np.full(6, 4e-3)
    error[2] = np.nan
    picture = check(drawn(device, cnot=error, edges=measured), device)
    pair, qubit = picture.of("pair"), picture.of("qubit")
    kept = {f"pair-{a}-{b}" for a, b in device.edges[measured[~np.isnan(error)]].tolist()}
    silent = {f"pair-{a}-{b}" for a, b in device.edges[np.setdiff1d(device.usable_edges, measured)].tolist()}
    assert {row for row, look in pair.items() if look["stroke"] in PALETTE} == kept
    assert {row for row, look in pair.items() if look["stroke"] == MUTED} == silent
    assert {row for row, look in pair.items() if look["stroke"] == BAD} == pair.keys() - kept - silent
    metrics = metrics_of(device, fitted_of(device, cnot=error, edges=measured))
    counted = {f"pair-{a}-{b}" for a, b in device.edges[metrics.member_edges].tolist()}
    assert counted < kept
    assert all(("stroke-dasharray" in look) == (row not in counted) for row, look in pair.items())
    down = {f"qubit-{q}" for q in np.flatnonzero(metrics.works < 0.5)}
    assert "qubit-2" in down
    assert {row for row, look in qubit.items() if look["stroke"] == BAD} == down
    inside = {f"qubit-{q}" for q in metrics.members}
    assert {row for row, look in qubit.items() if "stroke-dasharray" not in look} == inside | down
    assert inside
    crosses = [e for e in picture.root.iter(f"{SVG}path") if e.attrib["d"].count("m-") and "data-row" not in e.attrib]
    assert sum(e.attrib["d"].count("M") for e in crosses) == len(pair.keys() - kept - silent) + len(down) + 2  # and two in the legend
    legend = {text for text, _ in picture.texts}
    assert {"pair failed or excluded", "pair not measured", "pair measured but not counted"} <= legend
    assert {"qubit not working", "working, but not counted"} <= legend
    assert "qubit not measured" not in legend


def test_a_pair_without_counts_was_not_measured_rather_than_failed():
    device = line_device("cz", 4)
    status = ["ok", "no_data", "too_fast"]
    picture = check(drawn(device, cnot=np.array([4e-3, np.nan, np.nan]), status=status), device)
    assert picture.look["pair-1-2"]["stroke"] == MUTED
    assert picture.look["pair-2-3"]["stroke"] == BAD


def test_numbers_can_be_read():
    device = build(load_profile("heron-133")).device
    picture = Picture(drawn(device, readout=np.random.default_rng(0).permutation(np.geomspace(1e-3, 0.15, 133)), criteria={"readout_error": 0.3}))
    numbers = [(int(text), look) for text, look in picture.texts if text.isdigit()]
    assert sorted(q for q, _ in numbers) == list(range(133))
    for q, look in numbers:
        circle = picture.look[f"qubit-{q}"]
        assert contrast(look["fill"], circle["fill"]) >= 4.5
        assert abs(float(circle["cx"]) - float(look["x"])) < 0.1
        assert float(look["font-size"]) * 0.6 * len(str(q)) < 2 * float(circle["r"])
        assert float(look["font-size"]) >= 8


def test_large_devices_have_no_numbers():
    picture = Picture(drawn(build(load_profile("heavy-hex-1121")).device))
    assert not [text for text, _ in picture.texts if text.isdigit()]


def test_the_three_worst_pairs_have_their_error_beside_them():
    device = build(load_profile("heron-133")).device
    error = np.full(150, 3e-3)
    error[[10, 60, 149]] = 0.011, 0.012, 0.014
    picture = Picture(drawn(device, cnot=error, criteria={"cnot_error": 0.1}))
    labels = [text for text, _ in picture.texts]
    for row, text in ((10, "1.1e-2"), (60, "1.2e-2"), (149, "1.4e-2")):
        assert text in labels
        assert f"{device.edges[row, 0]}-{device.edges[row, 1]}" in labels
    assert sum("-" in text and text[0].isdigit() and "e" not in text for text in labels) == 3


def test_pairs_that_are_alike_have_no_worst():
    device = build(load_profile("heron-133")).device
    labels = [text for text, _ in Picture(drawn(device, cnot=np.zeros(150))).texts]
    assert "&lt; " not in labels
    assert not [text for text in labels if re.fullmatch(r"\d+-\d+", text)]
    assert any(text.startswith("< ") for text in labels)


@pytest.mark.parametrize("name", ["hurt", "one qubit", "one pair", "all to all"])
def test_the_legend_is_below_the_map_and_inside_the_picture(name):
    picture = Picture(drawn(DEVICES[name]))
    _, _, width, height = map(float, picture.root.attrib["viewBox"].split())
    lowest = max(float(look["cy"]) + float(look["r"]) for look in picture.of("qubit").values())
    legend = picture.root.findall(f"{SVG}g")[1]
    for text in legend.iter(f"{SVG}text"):
        x, y, half = float(text.attrib["x"]), float(text.attrib["y"]), 3.2 * len(text.text)
        middle = text.attrib.get("text-anchor") == "middle"
        assert y - 9 > lowest
        assert y + 3 < height
        assert x - (half if middle else 0) >= 0
        assert x + (half if middle else 2 * half) <= width


def test_a_scale_says_what_lies_beyond_it():
    device = line_device("cz", 5)
    labels = [text for text, _ in Picture(drawn(device, cnot=[-1e-5, 1e-3, 2e-3, 4e-3])).texts]
    assert {"C-NOT error", "readout error", "< 1e-3", "2e-3", "5e-3"} <= set(labels)
    assert "-1.0e-5" in labels  # beside its pair, as it is
    upper = [text for text, _ in Picture(drawn(device, estimate="upper")).texts]
    assert "C-NOT error, upper" in upper


@pytest.mark.parametrize("missing", [("cnot",), ("readout",), ("cnot", "readout")])
def test_nothing_but_failures(missing):
    device = line_device("cz", 5)
    values = {name: np.full(4 if name == "cnot" else 5, np.nan) for name in missing}
    picture = check(drawn(device, **values), device)
    labels = {text for text, _ in picture.texts}
    assert ("no C-NOT error measured" in labels) == ("cnot" in values)
    assert ("no readout error measured" in labels) == ("readout" in values)
    if "cnot" in values:
        assert Counter(look["stroke"] for look in picture.of("pair").values()) == {BAD: 4}


@st.composite
def records(draw):
    n = draw(st.integers(1, 9))
    pairs = [(a, b) for b in range(n) for a in range(b)]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=12)) if pairs else []
    out = st.dictionaries(st.integers(0, n - 1), st.just("gone"), max_size=2)
    error = st.one_of(st.floats(-1e-3, 0.7), st.just(np.nan))
    position = draw(st.one_of(st.none(), st.lists(st.tuples(*[st.one_of(st.floats(-1e3, 1e3), st.just(np.nan))] * 2), min_size=n, max_size=n)))
    device = device_of(
        chosen, "cz", n, absent_qubits=draw(out), edge_error=draw(st.lists(error, min_size=len(chosen), max_size=len(chosen))), coordinates=position
    )
    usable = device.usable_edges.tolist()
    edges = sorted(draw(st.lists(st.sampled_from(usable), unique=True))) if usable else []
    cnot = draw(st.lists(error, min_size=len(edges), max_size=len(edges)))
    readout = draw(st.lists(error, min_size=len(device.usable_qubits), max_size=len(device.usable_qubits)))
    return device, {"edges": edges, "cnot": cnot, "readout": readout}


@given(records(), st.booleans())
def test_any_records_have_a_map(case, standalone):
    device, values = case
    svg = drawn(device, standalone=standalone, **values)
    check(svg, device)
    assert svg == drawn(device, standalone=standalone, **values)

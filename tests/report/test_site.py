import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qthreshold.drift import DeviceDrift
from qthreshold.report.site import drift_lines, page_name, site_files
from qthreshold.series import LeftOut
from reference.histories import NOW, device_of, lab, series_of

ATTACK = "<script>alert(1)</script>/../../<img src=x>"


@pytest.fixture(scope="module")
def files():
    return {name: data.decode() for name, data in site_files([lab("quiet"), lab("troubled", growth=1.06), lab(ATTACK), device_of("new")], now=NOW)}


def rows(text, table):
    body = text.split(f'aria-label="{table}"')[1].split("<tbody>")[1].split("</tbody>")[0]
    return [re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", r)).strip() for r in body.split("</tr>") if "<tr" in r]


def test_there_is_an_index_and_a_page_for_each_device_and_every_link_leads_somewhere(files):
    assert next(iter(files)) == "index.html"
    assert len(files) == 5
    links = {target for text in files.values() for target in re.findall(r'href="([^"#:]+)"', text)}
    assert links == set(files)


def test_the_index_has_devices_with_alarms_first(files):
    listed = rows(files["index.html"], "Devices")
    assert listed[0].startswith("troubled 2 0 2026-11-30 2.0 30 ")
    assert "4 devices: 1 device with an alarm to the worse (troubled)." in files["index.html"]
    assert listed[-1].startswith(("quiet", "new"))
    assert next(r for r in listed if r.startswith("new")) == "new 0 0 - - 0 - - - -"


def test_a_page_has_alarms_first_and_says_what_changed(files):
    text = files[page_name("troubled")]
    parts = rows(text, "Table of pairs and qubits")
    assert parts[0].startswith("C-NOT error of pair 1-2 rises, alarm since 2026-11-")
    assert parts[1].startswith("Qubit 5 stopped working on 2026-11-30")
    assert "C-NOT error of pair 1-2" in " ".join(rows(text, "Steps of a level"))
    assert "7.0 hours before" in text
    assert re.search(r'<svg [^>]*aria-label="C-NOT error of pair 1-2. C-NOT error of pair 1-2: rises by', text)
    assert "no alarm to the worse" in files[page_name("quiet")]


def test_a_hostile_name_is_text_and_no_path(files):
    for text in files.values():
        assert "<script>alert" not in text
        assert "<img" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in files["index.html"]


def test_pages_fetch_nothing(files):
    for text in files.values():
        assert not re.findall(r'(?:src|href)="(?:https?:)?//', text)
        assert "default-src 'none'" in text


def test_no_alarm_is_not_said_of_a_device_without_the_runs_that_are_left_out():
    lacking = LeftOut(runs=30, differences=(("gate", "ecr", "<b>cz</b>"),))
    device = device_of("a", *(s.replace(left_out=lacking) for s in lab("a").series))
    said = "30 earlier runs are left out: they were measured or counted otherwise (gate: ecr there, <b>cz</b> here)."
    assert drift_lines(device)[0] == f"a: no alarm to the worse. {said}"
    files = {name: data.decode().replace("\N{NO-BREAK SPACE}", " ") for name, data in site_files([device, lab("b")], now=NOW)}
    assert "2 devices: no alarm to the worse. Runs of 1 device are left out, see below." in files["index.html"]
    for name in ("index.html", page_name("a")):
        assert said.replace("<", "&lt;").replace(">", "&gt;") in files[name]
    assert "left out" not in files[page_name("b")]


@given(st.text(max_size=200))
def test_every_name_makes_a_safe_file_name(name):
    assert re.fullmatch(r"device(-[a-z0-9]+)+\.html", page_name(name))
    assert len(page_name(name)) < 70


@given(st.text(max_size=20), st.text(max_size=20))
def test_two_names_make_two_files(one, other):
    assert (page_name(one) == page_name(other)) == (one == other)


def test_a_device_that_is_there_twice_is_refused():
    with pytest.raises(ValueError, match="twice"):
        list(site_files([lab("a"), lab("a")], now=NOW))
    with pytest.raises(ValueError, match="1 series, but 0 drifts"):
        DeviceDrift(device="a", series=(series_of([1.0]),), drifts=())


def test_without_matplotlib_pages_say_what_is_missing(monkeypatch):
    monkeypatch.setattr("qthreshold.report.site.has_figures", lambda: False)
    text = dict(site_files([lab("a")], now=NOW))[page_name("a")].decode()
    assert "pip install &#39;qthreshold[plots]&#39;" in text
    assert "<svg" not in text

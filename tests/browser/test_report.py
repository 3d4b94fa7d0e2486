"""Report pages in a real browser: sound in every width and theme, and what a reader does with them works."""

import base64

import pytest

from browser_page import assert_sound, assert_sound_everywhere, pdf_pages
from qthreshold.report.export import plates_of
from qthreshold.report.page import render_page, render_pending
from qthreshold.report.runs import runs_files
from qthreshold.report.site import site_files
from qthreshold.report.summary import make_summary
from reference.histories import NOW, device_of, lab
from reference.reports import grid_run, nothing_left, one_pair_lost

pytestmark = pytest.mark.system

ATTACK = "<script>alert(1)</script>"
ROWS = ("tbody tr:nth-child(n+12)",)  # the twelfth row of a table says what the others would


def page_of(run, **options):
    s = make_summary(run)
    return render_page(run, s, plates_of(run, s, **options))


@pytest.fixture(scope="module")
def run():
    return grid_run(rows=5, columns=8, errors=(1e-3, 9e-3), change=one_pair_lost, absent_qubits={39: "taken out"}, frontier=True)


@pytest.fixture(scope="module")
def text(run):
    return page_of(run)


def test_a_page_is_sound_in_every_width_and_theme(browser, text):
    """Console, network, overflow, layout shift, headings, accessibility."""
    assert_sound_everywhere(browser, text, skip=ROWS)


def test_pages_of_every_other_kind_are_sound(browser, run):
    assert_sound_everywhere(browser, page_of(grid_run(rows=1, columns=2, change=nothing_left)), widths=(360,), skip=ROWS)
    runs = dict(runs_files([run, grid_run(name="another", context="simultaneous")], ["html"]))["report.html"].decode()
    assert_sound_everywhere(browser, runs, widths=(360,))
    pending = render_pending(run.device, run.plan, run.header, "Nothing was sent.")
    assert_sound_everywhere(browser, pending, widths=(360,), themes=("dark",))


def test_pages_of_a_fleet_are_sound(browser):
    """The index, a device with alarms and figures, and one without any run."""
    for _, data in site_files([lab(f"{ATTACK}-lab", growth=1.06), device_of("new")], now=NOW):
        assert_sound_everywhere(browser, data.decode(), widths=(360, 1280), skip=ROWS)


def test_a_hostile_name_runs_nothing(browser):
    page = browser.open(page_of(grid_run(name=ATTACK, absent_qubits={3: f"</td>{ATTACK}<img src=x onerror=alert(2)>"})))
    assert page.text("h1") == ATTACK
    assert_sound(page, skip=ROWS)  # an alert would be an error of the driver, a blocked script one of the console


def test_even_a_script_that_got_into_the_page_would_not_run(browser, text):
    page = browser.open(text.replace("<main>", "<main><script>document.title = 'planted'</script><img alt='' src='x' onerror='document.title=1'>"))
    assert "export-control" in page.driver.title
    assert [m for m in page.errors() if "Content Security Policy" in m.text]


def column(page, table, n):
    return page.script("return [...document.querySelectorAll(arguments[0] + ' tbody tr')].map(r => r.cells[arguments[1]].textContent)", table, n)


def numbers(cells):
    return [float(c) for c in cells if c != "-"]


PAIRS = "[aria-label^='Coupled pairs']"


def test_tables_sort_by_numbers_both_ways_with_the_unknown_last_and_by_the_keyboard(browser, text):
    page = browser.open(text)
    before = column(page, PAIRS, 1)
    page.click(f"{PAIRS} th:nth-child(2) button")
    up = column(page, PAIRS, 1)
    assert numbers(up) == sorted(numbers(before))
    assert numbers(up) != numbers(before)
    assert up[-1] == "-"
    assert page.script("return document.querySelector(arguments[0]).getAttribute('aria-sort')", f"{PAIRS} th:nth-child(2)") == "ascending"
    page.press("Enter")  # the button still has the focus
    down = column(page, PAIRS, 1)
    assert numbers(down) == sorted(numbers(before), reverse=True)
    assert down[-1] == "-"
    page.click(f"{PAIRS} th:nth-child(3) button")
    lows = [float(c.split()[0]) for c in column(page, PAIRS, 2) if c != "-"]
    assert lows == sorted(lows)
    page.click(f"{PAIRS} th:nth-child(1) button")
    names = column(page, PAIRS, 0)
    assert [tuple(map(int, n.split("-"))) for n in names] == sorted(tuple(map(int, n.split("-"))) for n in names)
    assert page.script("return document.querySelectorAll(arguments[0]).length", f"{PAIRS} [aria-sort='ascending']") == 1


def test_pointing_at_a_pair_of_the_map_shows_its_row_and_escape_hides_it(browser, text, run):
    page = browser.open(text)
    s = make_summary(run)
    page.hover("[data-row='pair-1-2']")
    shown = page.text("#tip")
    assert "Pair: 1-2" in shown
    error = next(e for e in s["edges"] if e["edge"] == [1, 2])["cnot_error"]["best"]
    assert f"C-NOT error: {error:.2e}".replace("e-0", "e-") in shown
    assert page.script("return document.getElementById('pair-1-2').classList.contains('lit')")
    for _ in range(3):  # a slow browser still tells of the pointer's last move after the key, which shows the row again
        page.press("Escape")
        if page.script("return document.getElementById('tip').hidden"):
            break
    assert page.script("return document.getElementById('tip').hidden")
    page.click("[data-row='qubit-39']")
    assert "taken out" in page.text("#tip")


def test_the_embedded_tables_are_those_of_the_files(browser, text, run):
    page = browser.open(text)
    href = page.script("return document.querySelector('a[download=\"pairs.csv\"]').href")
    lines = base64.b64decode(href.partition("base64,")[2]).decode().splitlines()
    assert len(lines) == len(run.device.edges) + 1
    assert len(column(page, PAIRS, 0)) == len(run.device.edges)


def test_everything_can_be_reached_by_the_keyboard(browser, text):
    page = browser.open(text)
    reached = []
    for _ in range(60):
        page.press("Tab")
        reached.append(page.focused())
        if page.script("return document.activeElement.closest('#method') !== null"):
            break
    whole = " ".join(map(str, reached))
    for what in ("Skip to the answer", "Answer", "summary", "pairs.csv", "qubits.csv", "button"):
        assert what in whole, what
    assert page.script("return getComputedStyle(document.activeElement).outlineStyle") != "none"


def test_the_page_can_be_read_without_scripts_and_printed(browser, text):
    page = browser.open(text, script=False)
    assert "connected working qubits" in page.text(".answer")
    page = browser.open(text)
    for paper in ("A4", "Letter"):
        assert 3 <= pdf_pages(page.print_pdf(paper)) <= 14
    page.script("dispatchEvent(new Event('beforeprint'))")
    assert page.script("return document.querySelectorAll('details:not([open])').length") == 0
    page.script("dispatchEvent(new Event('afterprint'))")
    assert page.script("return document.querySelectorAll('details[open]').length") == 0
    printed = browser.open(text, media="print")
    assert printed.style("nav", "display") == "none"
    assert printed.overflow() == []


def test_themes_change_the_figures_too(browser, text):
    colours = [
        [browser.open(text, theme=theme).style(selector, name) for selector, name in (("body", "background-color"), ("svg.figure text", "fill"))]
        for theme in ("light", "dark")
    ]
    assert colours[0][0] != colours[1][0]
    assert colours[0][1] != colours[1][1]


def test_all_pairs_of_a_large_device_are_sortable_in_a_blink(browser):
    big = grid_run(rows=45, columns=45, frontier=False)
    page = browser.open(page_of(big))
    assert not page.errors()
    click = "const b = document.querySelector(arguments[0]), t = performance.now(); b.click(); return performance.now() - t"
    assert page.script(click, f"{PAIRS} th:nth-child(2) button") < 1000  # milliseconds

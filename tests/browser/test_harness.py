"""The harness against pages with one planted fault each: a check that cannot fail checks nothing."""

import re
import struct

import pytest
from selenium.common.exceptions import ElementClickInterceptedException, SessionNotCreatedException

from browser_page import Browser, assert_sound, assert_sound_everywhere, faults, pdf_pages, programs

pytestmark = pytest.mark.system

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


def html(body, *, head="", policy=POLICY, lang=' lang="en"', viewport='<meta name="viewport" content="width=device-width">'):
    policy = policy and f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    return (
        f'<!doctype html><html{lang}><head><meta charset="utf-8">{policy}{viewport}<title>A page</title>'
        f'<link rel="icon" href="data:,">{head}</head><body><main>{body}</main></body></html>'
    )


CLEAN = html(
    f'<h1>Answer</h1><p>All is well.</p><h2>Why</h2><h3>Because</h3><h2>How</h2><p id="by">by hand</p><img src="{PIXEL}" alt="a dot">'
    '<div class="scroll" tabindex="0"><div class="wide">wide</div></div><script>document.querySelector("#by").textContent = "by script"</script>',
    head="<style>:root { color-scheme: light dark } .scroll { overflow-x: auto } .wide { width: 3000px }</style>",
)
MOVE = """<p id="first">first</p><p>second</p><script>
requestAnimationFrame(() => requestAnimationFrame(() => { document.querySelector("#first").style.marginTop = "300px" }))</script>"""

PLANTED = {
    "an error in the console": (html("<h1>x</h1><script>console.error('planted')</script>"), "console: SEVERE console-api: .*planted"),
    "a warning in the console": (html("<h1>x</h1><script>console.warn('planted')</script>"), "console: WARNING console-api: .*planted"),
    "an uncaught exception": (html("<h1>x</h1><script>throw new Error('planted')</script>"), "console: SEVERE javascript: .*planted"),
    "a rejected promise": (html("<h1>x</h1><script>Promise.reject(new Error('planted'))</script>"), "console: SEVERE javascript: .*planted"),
    "a late exception": (html("<h1>x</h1><script>setTimeout(() => { throw new Error('planted') }, 30)</script>"), "console: .*planted"),
    "an image from elsewhere": (
        html('<h1>x</h1><img src="http://planted.invalid/a.png" alt="a">', policy=""),
        "request: http://planted.invalid/a.png|console: SEVERE network: .*planted",
    ),
    "a file beside the page": (
        html("<h1>x</h1>", head='<link rel="stylesheet" href="planted.css">', policy=""),
        "request: file:.*/planted.css|console: .*planted",
    ),
    "an icon from elsewhere": (
        html("<h1>x</h1>", head='<link rel="icon" href="http://planted.invalid/icon.png">', policy=""),
        "request: http://planted.invalid/icon.png|console: .*planted",
    ),
    "a fetch by a script": (
        html("<h1>x</h1><script>fetch('http://planted.invalid/').catch(() => {})</script>", policy=""),
        "request: http://planted.invalid/|console: .*planted",
    ),
    "a socket": (
        html("<h1>x</h1><script>new WebSocket('ws://planted.invalid/')</script>", policy=""),
        "request: ws://planted.invalid/|console: .*planted",
    ),
    "a beacon": (
        html("<h1>x</h1><script>navigator.sendBeacon('http://planted.invalid/', '')</script>", policy=""),
        "request: http://planted.invalid/|console: .*planted",
    ),
    "a violation of the policy": (
        html('<h1>x</h1><img src="http://planted.invalid/a.png" alt="a">'),
        "console: SEVERE security: .*violates.*Content Security Policy|request: http://planted.invalid/a.png",
    ),
    "a script that the policy forbids": (
        html("<h1>x</h1><script>document.title = 'planted'</script>", policy="default-src 'none'"),
        "console: SEVERE security: .*violates.*Content Security Policy",
    ),
    "a wide element": (html('<h1>x</h1><div id="planted" style="width: 3000px">wide</div>'), "overflow: .*; .*div#planted"),
    "a wide box that scrolls": (
        html('<h1>x</h1><div id="planted" tabindex="0" style="width: 3000px; overflow: auto"><p>wide</p></div>'),
        "overflow: [^;]*; div#planted[^;]*$",
    ),
    "a long word": (html(f"<h1>x</h1><p>{'w' * 999}</p>"), "overflow: .*; .*p "),
    "something that moves": (html(f"<h1>x</h1>{MOVE}"), r"layout shift: 0\.\d*[1-9]\d*: .*p#first"),
    "low contrast": (html('<h1>x</h1><p id="planted" style="color: #bbb">pale text</p>'), "axe: serious: color-contrast: .*#planted"),
    "a picture without words": (html(f'<h1>x</h1><img id="planted" src="{PIXEL}">'), "axe: critical: image-alt: .*#planted"),
    "a button without a name": (html('<h1>x</h1><button id="planted"></button>'), "axe: critical: button-name: .*#planted"),
    "no language": (html("<h1>x</h1>", lang=""), "axe: serious: html-has-lang: .*html"),
    "no viewport": (html("<h1>x</h1>", viewport=""), "viewport: "),
    "no heading": (html("<p>x</p>"), r"headings: levels \[\]"),
    "a heading left out": (html("<h1>x</h1><h3>y</h3>"), r"headings: levels \[1, 3\]"),
    "two titles": (html("<h1>x</h1><h1>y</h1>"), r"headings: levels \[1, 1\]"),
}
"""HTML with one fault, and what the lines about it look like, all of them; of the alternatives the first must be there."""


def test_a_clean_page_is_sound_in_every_width_and_theme(browser, tmp_path):
    assert_sound_everywhere(browser, CLEAN)
    path = tmp_path / "clean page.html"  # a space in the address
    path.write_text(CLEAN, encoding="utf-8")
    page = browser.open(path)
    assert_sound(page)
    assert (page.messages(), page.requests(), page.overflow(), page.layout_shifts()) == ([], [], [], [])
    assert page.axe().keys() <= {"minor", "moderate"}
    assert page.headings() == [(1, "Answer"), (2, "Why"), (3, "Because"), (2, "How")]
    assert page.text("#by") == "by script"


def test_every_planted_fault_is_found_and_nothing_else(browser):
    wrong = {}
    for name, (source, lines) in PLANTED.items():
        found = faults(browser.open(source))
        if not any(re.match(lines.split("|")[0], line) for line in found) or not all(re.match(lines, line) for line in found):
            wrong[name] = found
    assert not wrong
    assert not faults(browser.open(CLEAN)), "a fault outlived its page"
    with pytest.raises(AssertionError, match=r"1280 px, light, screen:\s+headings: levels \[\]"):
        assert_sound(browser.open(html("x")))
    with pytest.raises(AssertionError, match=r"360 px, dark, screen: headings: .*\s.*1600 px, light"):
        assert_sound_everywhere(browser, html("x"), widths=(360, 1600))


def test_what_a_system_prefers_reaches_the_page(browser):
    styled = html(
        "<h1>x</h1><p>Text</p>",
        head="<style>p { color: rgb(1, 0, 0) } @media (prefers-color-scheme: dark) { p { color: #fff; background: #eee } }"
        "@media (prefers-reduced-motion) { p { margin-top: 7px } } @media print { p { margin-left: 8px } }"
        "@media (width: 360px) { p { width: 90px } }</style>",
    )
    p = lambda page, name: page.style("p", name)  # noqa: E731
    assert p(browser.open(styled), "color") == "rgb(1, 0, 0)"
    assert p(browser.open(styled, theme="dark"), "color") == "rgb(255, 255, 255)"
    assert p(browser.open(styled, reduced_motion=True), "margin-top") == "7px"
    assert p(browser.open(styled, media="print"), "margin-left") == "8px"
    assert p(browser.open(styled, width=360), "width") == "90px"
    plain = browser.open(styled)
    assert (p(plain, "color"), p(plain, "margin-top"), p(plain, "margin-left")) == ("rgb(1, 0, 0)", "16px", "0px"), "a setting outlived its page"
    assert_sound(plain)
    with pytest.raises(AssertionError, match="dark, screen: axe: serious: color-contrast"):
        assert_sound_everywhere(browser, styled)


def test_every_page_is_opened_for_the_first_time(browser):
    counting = html(
        "<h1>x</h1><p></p><script>for (const s of [localStorage, sessionStorage]) {"
        "s.n = Number(s.n || 0) + 1; document.querySelector('p').textContent += s.n }</script>"
    )
    first = browser.open(counting)
    assert first.text("p") == "11"
    assert browser.open(counting).text("p") == "11"
    with pytest.raises(RuntimeError, match="another page was opened"):
        faults(first)
    assert browser.open(counting, script=False).text("p") == ""
    assert browser.open(counting).text("p") == "11"


def test_mouse_and_keys(browser):
    page = browser.open(
        html(
            "<h1>x</h1><div style='height: 3000px'></div><button>one</button><button id='two'>two</button><p>nothing</p>"
            "<script>for (const kind of ['click', 'keydown']) addEventListener(kind, e => {"
            "document.querySelector('p').textContent = [e.type, e.key, e.shiftKey, e.target.id].join(' ') })</script>",
            head="<style>#two:hover { color: rgb(1, 2, 3) }</style>",
        )
    )
    assert page.style("#two", "color") == "rgb(0, 0, 0)"
    page.hover("#two")
    assert page.style("#two", "color") == "rgb(1, 2, 3)"
    page.click("#two")
    assert page.text("p") == "click false two"
    assert page.focused() == 'button#two "two"'
    page.press("Shift+Tab")
    assert page.focused() == 'button "one"'
    page.press("Tab", "ArrowDown")
    assert page.text("p") == "keydown ArrowDown false two"
    page.press("a")
    assert page.text("p") == "keydown a false two"
    page.script("document.querySelector('p').style = 'position: fixed; inset: 0; background: white'")
    with pytest.raises(ElementClickInterceptedException):
        page.click("#two")
    assert page.layout_shifts() == [], "what a reader does is no shift"


def test_pictures_and_paper(browser, tmp_path):
    page = browser.open(
        html(
            "<h1>x</h1><div style='height: 3000px'></div><p>end</p>",
            head="<style>@media print { div { display: none } } p { break-before: page }</style>",
        ),
        width=400,
        theme="dark",
    )
    png = page.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").read_bytes() == png
    width, height = struct.unpack(">II", png[16:24])
    assert 380 <= width <= 400
    assert 3000 < height < 3300
    a4, letter = page.print_pdf(), page.print_pdf("Letter")
    assert pdf_pages(a4) == pdf_pages(letter) == 2
    assert re.search(rb"/MediaBox \[0 0 59[56][.\d]* 84[12][.\d]*\]", a4)
    assert re.search(rb"/MediaBox \[0 0 612 792\]", letter)
    assert page.script("return matchMedia('screen and (prefers-color-scheme: dark)').matches"), "printing leaves the page as it was"
    assert page.layout_shifts() == []


def test_without_a_browser_tests_are_skipped_or_fail_where_it_is_required(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("QTHRESHOLD_BROWSER_TESTS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no Chromium or chromedriver: apt-get install chromium chromium-driver"):
        programs()
    monkeypatch.setenv("QTHRESHOLD_BROWSER_TESTS", "required")
    with pytest.raises(pytest.fail.Exception, match="no Chromium or chromedriver"):
        programs()


def test_a_browser_that_does_not_start_is_an_error(browser, tmp_path):
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    with pytest.raises(SessionNotCreatedException), Browser(str(broken), programs()[1]):
        pass

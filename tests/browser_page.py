"""Self-contained pages in a real headless Chromium: what a reader, a printer and a screen reader would meet, and `assert_sound` for all of it.

The browser is Debian's Chromium with its chromedriver, spoken to by selenium; nothing is downloaded, and no name resolves inside it.
Accessibility is judged by axe-core. Both go in through the developer tools, which a page's Content-Security-Policy does not concern.
"""

import base64
import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from urllib.parse import urldefrag

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip
PAPERS = {"A4": (210 / 25.4, 297 / 25.4), "Letter": (8.5, 11.0)}
"""Width and height in inches."""

WIDTHS = (360, 768, 1600)
THEMES = ("light", "dark")

ASKS = {"Network.requestWillBeSent", "Network.webSocketCreated", "Network.webTransportCreated"}
"""Events of a page that wants something from somewhere else."""

DESCRIBE = """
const describe = e => e.nodeType !== 1 ? e.nodeName : e.localName + (e.id && '#' + e.id) + [...e.classList].map(c => '.' + c).join('')
  + ' "' + e.textContent.trim().replace(/\\s+/g, ' ').slice(0, 40) + '"';
"""
SETTLE = """
const done = arguments[0];
document.fonts.ready.then(() => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 60))));
"""
SHIFTS = """
const done = arguments[0], found = [];
const keep = entries => found.push(...entries.filter(e => !e.hadRecentInput));
const observer = new PerformanceObserver(list => keep(list.getEntries()));
observer.observe({type: 'layout-shift', buffered: true});
requestAnimationFrame(() => requestAnimationFrame(() => {
  keep(observer.takeRecords());
  done(found.map(e => [e.value, e.sources.map(s => s.node ? describe(s.node) : 'removed').join(', ')]));
}));
"""
OVERFLOW = """
const root = document.scrollingElement, room = root.clientWidth;
if (root.scrollWidth <= room) return [];
const clips = e => e !== root && e !== document.body && (getComputedStyle(e).overflowX !== 'visible' || clips(e.parentElement));
const box = node => { const range = document.createRange(); range.selectNodeContents(node); return range.getBoundingClientRect() };
const beyond = r => r.right + root.scrollLeft > room + 0.5;
const sticksOut = e => beyond(e.getBoundingClientRect()) && !clips(e.parentElement)
  || !clips(e) && [...e.childNodes].some(n => n.nodeType === 3 && beyond(box(n)));
const out = [...document.body.querySelectorAll('*')].filter(sticksOut);
return [`${root.scrollWidth} px of page in ${room} px`, ...out.slice(0, 5).map(describe)];
"""
AXE = """
const [skip, done] = arguments;
axe.run({exclude: skip.map(s => [s])}, {resultTypes: ['violations']}).then(
  r => done(r.violations.map(v => [v.impact, `${v.id}: ${v.help}: `, v.nodes.map(n => n.target.join(' '))])), e => done(String(e)));
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A line of the console. Level: SEVERE, WARNING, INFO or DEBUG. Source: console-api, javascript, security, network, ..."""

    level: str
    source: str
    text: str


def programs():
    """The paths of browser and driver. Without them the calling test is skipped, or fails where QTHRESHOLD_BROWSER_TESTS=required."""
    chromium = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if chromium and driver:
        return chromium, driver
    missing = "no Chromium or chromedriver: apt-get install chromium chromium-driver"
    if os.environ.get("QTHRESHOLD_BROWSER_TESTS") == "required":
        pytest.fail(f"{missing} (QTHRESHOLD_BROWSER_TESTS=required)", pytrace=False)
    pytest.skip(missing)


class Browser:
    """One headless Chromium with one tab. Started on entry, ended on exit; it leaves no files behind.

    Args:
        chromium, driver: Paths of the programs.
    """

    def __init__(self, chromium, driver):
        self.page = None
        self._axe = files("selenium_axe_python").joinpath("axe-core", "axe.min.js").read_text(encoding="utf-8")
        self._folder = tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True)
        self.folder = Path(self._folder.name)
        self._options = webdriver.ChromeOptions()
        self._options.binary_location = chromium
        for argument in (*ARGUMENTS, f"--user-data-dir={self.folder / 'profile'}"):
            self._options.add_argument(argument)
        self._options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self._service = Service(driver, env={**os.environ, "HOME": str(self.folder)})

    def __enter__(self):
        try:
            self.driver = webdriver.Chrome(options=self._options, service=self._service)
        except BaseException:
            self._folder.cleanup()
            raise
        self.driver.set_script_timeout(60)
        return self

    def __exit__(self, *_):
        self.driver.quit()
        self._folder.cleanup()

    def cdp(self, command, **parameters):
        """A command of the developer tools' protocol."""
        return self.driver.execute_cdp_cmd(command, parameters)

    def emulate(self, *, theme, media, reduced_motion):
        features = {"prefers-color-scheme": theme, "prefers-reduced-motion": "reduce" if reduced_motion else "no-preference"}
        self.cdp("Emulation.setEmulatedMedia", media=media, features=[{"name": n, "value": v} for n, v in features.items()])

    def open(self, page, *, width=1280, height=900, theme="light", media="screen", reduced_motion=False, script=True):
        """Loads a page as if for the first time and waits until it is drawn.

        Args:
            page: The path of a file, or HTML as a string.
            width: Of the window, in CSS pixels; a scroll bar takes its part.
            height: Of the window.
            theme: What the reader's system prefers, "light" or "dark".
            media: "screen" or "print".
            reduced_motion: Whether the reader's system asks for less motion.
            script: Whether the page may run its scripts. Without them only `script`, `text`, `style`, `headings`, `overflow` and pictures work.

        Returns:
            Page: It can be asked until the next one is opened.
        """
        name = f"HTML of {len(page)} characters" if isinstance(page, str) else Path(page).name
        path = self.folder / "page.html" if isinstance(page, str) else Path(page).resolve()
        if isinstance(page, str):
            path.write_text(page, encoding="utf-8")
        self.driver.execute_script("try { localStorage.clear(); sessionStorage.clear() } catch {}")  # about:blank has none
        self.driver.get("about:blank")
        for log in ("browser", "performance"):
            self.driver.get_log(log)  # what the page before still had to say
        self.cdp("Input.dispatchMouseEvent", type="mouseMoved", x=-1, y=-1)
        self.cdp("Emulation.setScriptExecutionDisabled", value=not script)
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.emulate(theme=theme, media=media, reduced_motion=reduced_motion)
        self.page = Page(self, f"{name}, {width} px, {theme}, {media}", path.as_uri(), theme=theme, media=media, reduced_motion=reduced_motion)
        self.driver.get(path.as_uri())
        if script:
            self.driver.execute_async_script(SETTLE)
        return self.page


class Page:
    """An open page, as `Browser.open` returns it. ``str(page)`` says which one and how it was opened."""

    def __init__(self, browser, name, url, **emulated):
        self._browser = browser
        self._name = name
        self._url = url
        self._emulated = emulated
        self._messages = []
        self._requests = []

    def __str__(self):
        return self._name

    @property
    def browser(self):
        if self._browser.page is not self:
            raise RuntimeError(f"another page was opened after this one: {self}")
        return self._browser

    @property
    def driver(self):
        """Selenium's own object, for what is not here."""
        return self.browser.driver

    def script(self, source, *arguments):
        """What a script returns: a function's body that finds its arguments in ``arguments``."""
        return self.driver.execute_script(source, *arguments)

    def messages(self):
        """All lines of the console, uncaught exceptions and violations of the Content-Security-Policy among them."""
        log = self.driver.get_log("browser")
        self._messages += [Message(level=m["level"], source=m["source"], text=m["message"].removeprefix(self._url).strip()) for m in log]
        return list(self._messages)

    def errors(self):
        """The lines that are errors or warnings."""
        return [m for m in self.messages() if m.level in {"SEVERE", "WARNING"}]

    def requests(self):
        """Addresses of everything that the page asked for beside itself and ``data:``, whether or not it was allowed to."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        urls = [e["params"].get("request", e["params"])["url"] for e in events if e["method"] in ASKS]
        self._requests += [u for u in urls if urldefrag(u).url != self._url and not u.startswith("data:")]
        return list(self._requests)

    def layout_shifts(self):
        """What moved so far without the reader's doing: pairs of a score and the elements. The sum of the scores is the cumulative shift."""
        return [(score, what) for score, what in self.driver.execute_async_script(DESCRIBE + SHIFTS)]

    def overflow(self):
        """Nothing, or by how much the page is wider than its window, followed by at most five of the elements that stick out."""
        return self.script(DESCRIBE + OVERFLOW)

    def headings(self):
        """Pairs of level and text, in the order of the page."""
        found = self.script("return [...document.querySelectorAll('h1, h2, h3, h4, h5, h6')].map(h => [h.localName, h.textContent.trim()])")
        return [(int(name[1]), text) for name, text in found]

    def axe(self, *, skip=()):
        """Violations that axe-core finds, by impact: minor, moderate, serious, critical; each with its rule and the selectors of its elements.

        Args:
            skip: Selectors of what is left out: a table of a thousand rows takes seconds, its tenth row says what the others would.
        """
        if not self.script("return Boolean(window.axe)"):
            self.browser.cdp("Runtime.evaluate", expression=self.browser._axe)
        found = self.driver.execute_async_script(AXE, list(skip))
        if isinstance(found, str):
            raise RuntimeError(f"axe-core: {found}")
        by_impact = {}
        for impact, rule, targets in found:
            more = f" and {len(targets) - 5} more" if len(targets) > 5 else ""
            by_impact.setdefault(impact, []).append(rule + ", ".join(targets[:5]) + more)
        return by_impact

    def text(self, selector):
        """The text of the first element that matches, as it is shown."""
        return self.script("return document.querySelector(arguments[0]).innerText", selector)

    def style(self, selector, name):
        """A computed property of the first element that matches."""
        return self.script("return getComputedStyle(document.querySelector(arguments[0])).getPropertyValue(arguments[1])", selector, name)

    def focused(self):
        """The element that has the focus, as ``tag#id.class "text"``."""
        return self.script(DESCRIBE + "return describe(document.activeElement)")

    def hover(self, selector):
        """Scrolls to the first element that matches and puts the mouse on its middle."""
        x, y = self.script(
            "const e = document.querySelector(arguments[0]); e.scrollIntoView({block: 'center', inline: 'center', behavior: 'instant'});"
            "const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]",
            selector,
        )
        self.browser.cdp("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def click(self, selector):
        """Clicks the first element that matches; an error where something else covers it."""
        self.driver.find_element(By.CSS_SELECTOR, selector).click()

    def press(self, *keys):
        """Presses keys one after the other, as a browser names them: "Tab", "Shift+Tab", "ArrowDown", "Enter", "a"."""
        for key in keys:
            *held, last = [k if len(k) == 1 else getattr(Keys, re.sub(r"(?<=[a-z])(?=[A-Z])", "_", k).upper()) for k in key.split("+")]
            chain = ActionChains(self.driver, duration=0)
            for k in held:
                chain.key_down(k)
            chain.send_keys(last)
            for k in reversed(held):
                chain.key_up(k)
            chain.perform()

    def screenshot(self, path=None):
        """The whole page, also what is below the window, as PNG; written to ``path`` if there is one."""
        size = self.browser.cdp("Page.getLayoutMetrics")["cssContentSize"]
        shot = self.browser.cdp("Page.captureScreenshot", captureBeyondViewport=True, clip={**size, "scale": 1})
        png = base64.b64decode(shot["data"])
        if path is not None:
            Path(path).write_bytes(png)
        return png

    def print_pdf(self, paper="A4", *, background=False):
        """The page on "A4" or "Letter" as PDF. Browsers print as if the reader preferred light, and without backgrounds unless asked."""
        width, height = PAPERS[paper]
        self.browser.emulate(theme="light", media="", reduced_motion=self._emulated["reduced_motion"])  # paper is print by itself
        pdf = self.browser.cdp("Page.printToPDF", paperWidth=width, paperHeight=height, printBackground=background)
        self.browser.emulate(**self._emulated)
        return base64.b64decode(pdf["data"])


def pdf_pages(pdf):
    """How many pages a PDF of `Page.print_pdf` has."""
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


def faults(page, *, skip=()):
    """Everything that is wrong with an open page, each as a line; see `assert_sound`."""
    found = [f"console: {m.level} {m.source}: {m.text}" for m in page.errors()]
    found += [f"request: {url}" for url in page.requests()]
    if over := page.overflow():
        found.append(f"overflow: {'; '.join(over)}")
    levels = [level for level, _ in page.headings()]
    if levels[:1] != [1] or levels.count(1) != 1 or any(below > above + 1 for above, below in pairwise(levels)):
        found.append(f"headings: levels {levels}, wanted a single 1 at the start and no step of more than one down")
    if not page.script("return Boolean(document.querySelector('meta[name=viewport]'))"):
        found.append("viewport: no <meta name=viewport>, a phone would show the page shrunken")
    found += [f"axe: {impact}: {v}" for impact, violations in page.axe(skip=skip).items() if impact in {"serious", "critical"} for v in violations]
    return found + [f"layout shift: {score:.4f}: {what}" for score, what in page.layout_shifts()]


def assert_sound(page, *, skip=()):
    """Fails with all that is wrong with an open page.

    Wanted: no error or warning in the console, no request, no horizontal overflow, headings in order, a viewport for phones, no serious or
    critical violation that axe-core finds, no layout shift until now.

    Args:
        page: As `Browser.open` returned it.
        skip: See `Page.axe`.
    """
    found = faults(page, skip=skip)
    assert not found, "\n  ".join([f"{page}:", *found])


def assert_sound_everywhere(browser, page, *, widths=WIDTHS, themes=THEMES, skip=()):
    """`assert_sound` for a path or HTML in every width and theme; all faults in one message."""
    opened = (browser.open(page, width=w, theme=t) for w in widths for t in themes)
    found = [f"{p}: {fault}" for p in opened for fault in faults(p, skip=skip)]
    assert not found, "\n  ".join(["", *found])

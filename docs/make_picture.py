"""Draw docs/report.svg and docs/report.png, the terminal report and the page of a finished run: ``python docs/make_picture.py RUN_DIRECTORY``.

The page is taken in Chromium, as the tests of pages do it: the first screen, and beside it the staircase and the map.
"""

import io
import re
import sys
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.terminal_theme import TerminalTheme

from qthreshold.report.text import render
from qthreshold.store import RunDirectory

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from browser_page import Browser, programs

HERE = Path(__file__).parent
THEME = TerminalTheme(
    (255, 255, 255), (30, 34, 42),
    [(30, 34, 42), (190, 40, 40), (30, 120, 60), (150, 105, 0), (30, 80, 170), (130, 50, 140), (0, 120, 130), (90, 95, 105)],
)  # fmt: skip
WIDTH = 1080


def terminal(run: Path) -> str:
    """The summary of a run as the terminal shows it."""
    console = Console(record=True, width=80, force_terminal=True, color_system="truecolor", highlight=False, file=io.StringIO())
    console.print(render(RunDirectory.open(run).read_json("summary.json"), run.name))
    svg = console.export_svg(title="qthreshold run", theme=THEME)
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # no fonts from the network


def page(run: Path) -> Image.Image:
    """The page: its first screen left, the staircase and the map right."""
    with Browser(*programs()) as browser:
        opened = browser.open(run / "report.html", width=WIDTH)
        place = "return Math.floor(document.querySelector(arguments[0]).getBoundingClientRect().top + scrollY)"
        bands, table = (opened.script(place, selector) for selector in ("#bands", "#map h3"))
        whole = Image.open(io.BytesIO(opened.screenshot()))
    left = whole.crop((0, 0, whole.width, bands))
    right = whole.crop((0, bands, whole.width, table - 24))
    height = max(left.height, right.height)
    out = Image.new("RGB", (left.width + right.width, height), whole.getpixel((2, 2)))
    out.paste(left, (0, 0))
    out.paste(right, (left.width, 0))
    return out.quantize(192)


if __name__ == "__main__":
    directory = Path(sys.argv[1])
    (HERE / "report.svg").write_text(terminal(directory))
    page(directory).save(HERE / "report.png", optimize=True)

"""Draw docs/report.svg, the terminal report of a finished run: ``python docs/make_picture.py RUN_DIRECTORY``."""

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme

from qthreshold.report.text import render
from qthreshold.store import RunDirectory

THEME = TerminalTheme(
    (255, 255, 255), (30, 34, 42),
    [(30, 34, 42), (190, 40, 40), (30, 120, 60), (150, 105, 0), (30, 80, 170), (130, 50, 140), (0, 120, 130), (90, 95, 105)],
)  # fmt: skip


def main() -> None:
    """Render the summary of a run as the terminal shows it."""
    run = Path(sys.argv[1])
    console = Console(record=True, width=80, force_terminal=True, color_system="truecolor", highlight=False, file=io.StringIO())
    console.print(render(RunDirectory.open(run).read_json("summary.json"), run.name))
    svg = console.export_svg(title="qthreshold run", theme=THEME)
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # no fonts from the network
    (Path(__file__).parent / "report.svg").write_text(svg)


if __name__ == "__main__":
    main()

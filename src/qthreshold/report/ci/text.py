"""A gate's result in the terminal: the answer first, then what is wrong, then how many cases passed."""

import re

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from qthreshold.check import CheckResult
from qthreshold.report.words import many, one_line

__all__ = ["check_text"]

_SHOWN = 20  # cases of one outcome
_WORDS = {"failed": ("failed", "bold red"), "error": ("no data", "bold magenta"), "cannot_tell": ("cannot tell", "bold yellow")}


def check_text(result: CheckResult) -> RenderableType:
    """What to print.

    Args:
        result: What the gate said.
    """
    parts: list[RenderableType] = [Text(_said(result.answer), style="bold green" if result.passed else "bold")]
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    left = []
    for outcome, (word, style) in _WORDS.items():
        cases = result.having(outcome)
        for case in cases[:_SHOWN]:
            table.add_row(Text(word, style=style), Text(_said(case.reason), overflow="fold"))
        if len(cases) > _SHOWN:
            left.append(f"{many(len(cases) - _SHOWN, 'more case')} {word}")
    if table.row_count:
        parts += [Text(), table]
    quiet = sum(not c.gates and c.outcome != "passed" for c in result.cases)
    counted = [*left, f"{many(sum(c.outcome == 'passed' for c in result.cases), 'case')} passed"]
    if quiet:
        counted.append(f"{quiet:,} only reported")
    parts += [Text(), Text(f"{'; '.join(counted)}.")]
    if result.exit_code == 3:
        parts.append(Text("More sequences or shots may settle it; --fail-on met lets it pass."))
    if result.baseline:
        named = _said(", ".join(result.baseline[:5]))
        parts.append(Text(f"Compared with {many(len(result.baseline), 'run')}: {named}{' ...' if len(result.baseline) > 5 else ''}."))
    return Group(*parts)


def _said(text: str) -> str:
    r"""A text on one line, which no runner takes for a command in its log (``::error::``, ``##[error]``).

    Example:
        >>> _said("a\n::stop-commands::x ##[group]")
        'a : :stop-commands: :x # #[group]'
    """
    return re.sub(r":(?=:)|#(?=#)", r"\g<0> ", one_line(text))

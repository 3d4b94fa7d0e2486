"""A gate's result in Markdown: the answer, what is wrong, and how many cases were asked."""

from collections.abc import Iterable, Mapping

from qthreshold.check import Case, CheckResult
from qthreshold.report.export import plain_text
from qthreshold.report.words import integer, many, number, span

__all__ = ["markdown"]

_HEADS = {"failed": "Failed", "error": "Data are missing", "cannot_tell": "Cannot tell"}
_MARKS = {0: "passed", 1: "failed", 3: "cannot tell", 4: "data missing", 5: "worse than the baseline"}


def markdown(result: CheckResult, most_bytes: int = 60_000) -> str:
    """A text for a ticket or the summary of a step.

    Args:
        result: What the gate said.
        most_bytes: Length that it must not exceed; what does not fit is counted. Empty where not even the answer fits.
    """
    head = f"## qthreshold: {_MARKS.get(result.exit_code, 'failed')}\n\n{plain_text(result.answer)}\n"
    foot = _foot(result)
    room = most_bytes - len((head + foot).encode()) - 200  # for the sentence on what was left out
    if room < 0:
        return head if len(head.encode()) <= most_bytes else ""
    body, left = "", 0
    for outcome, title in _HEADS.items():
        cases = result.having(outcome)
        if not cases:
            continue
        table = f"\n### {title}\n\n| question | of | what was found |\n|---|---|---|\n"
        rows = _fitting((_row(c) for c in cases), room - len(table.encode()))
        part = "".join([table, *rows]) if rows else ""
        body, room = body + part, room - len(part.encode())
        left += len(cases) - len(rows)
    if left:
        body += f"\n{many(left, 'more case')} did not fit here.\n"
    return head + body + foot


def _fitting(parts: Iterable[str], room: int) -> list[str]:
    """Parts that fit, from the first on; those after them are not even made."""
    out = []
    for part in parts:
        room -= len(part.encode())
        if room < 0:
            break
        out.append(part)
    return out


def _row(case: Case) -> str:
    return f"| {plain_text(case.kind)} | {plain_text(case.title)} | {plain_text(case.reason)} |\n"


def _foot(result: CheckResult) -> str:
    quiet = [c for c in result.cases if not c.gates and c.outcome != "passed"]
    lines = [f"{many(sum(c.outcome == 'passed' for c in result.cases), 'case')} passed"]
    if quiet:
        lines.append(f"{many(len(quiet), 'case')} only reported ({sum(c.outcome == 'cannot_tell' for c in quiet):,} of them cannot be told)")
    out = f"\n{'; '.join(lines)}.\n"
    rows = [f"| {plain_text(name)} | {_span(value)} |\n" for name, value in result.metrics.items() if value is not None and value["best"] is not None]
    if rows:
        out += f"\n| metric | value ({100 * _level(result):g} % interval) |\n|---|---|\n{''.join(rows)}"
    about = [f"run {result.run_id}" if result.run_id else "", f"baseline {', '.join(result.baseline)}" if result.baseline else ""]
    return out + (f"\n{plain_text('; '.join(a for a in about if a))}. Evidence, not legal advice.\n" if result.run_id else "")


def _level(result: CheckResult) -> float:
    return next((v["level"] or 0.95 for v in result.metrics.values() if v is not None and v["best"] is not None), 0.95)


def _span(value: Mapping[str, float | None]) -> str:
    whole = value["best"] is not None and value["best"] >= 1 and value["best"].is_integer()
    return span(dict(value), integer if whole else number)

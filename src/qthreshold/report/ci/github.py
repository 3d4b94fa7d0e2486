"""What GitHub shows of a step: a summary in Markdown, annotations, and outputs for later steps."""

from qthreshold.check import Case, CheckResult
from qthreshold.report.ci.markdown import markdown
from qthreshold.report.words import one_line, printable

__all__ = ["MOST_BYTES", "annotations", "outputs", "step_summary"]

MOST_BYTES = 1024 * 1024
"""Above it GitHub drops the whole summary of a step."""

_MOST_ANNOTATIONS = 10  # of each kind are shown for a step


def step_summary(result: CheckResult, used: int = 0) -> str:
    """Markdown to append to ``$GITHUB_STEP_SUMMARY``; cut so that the file stays within what GitHub shows, and empty where nothing fits.

    Args:
        result: What the gate said.
        used: Bytes that the file holds already.
    """
    return markdown(result, most_bytes=MOST_BYTES - used - 1)


def annotations(result: CheckResult) -> list[str]:
    """Workflow commands for the log: errors for what failed or lacks data, warnings for what cannot be told; at most ten in all.

    Args:
        result: What the gate said.
    """
    found = [("error", c) for c in result.having("failed", "error")] + [("warning", c) for c in result.having("cannot_tell")]
    shown = found if len(found) <= _MOST_ANNOTATIONS else found[: _MOST_ANNOTATIONS - 1]
    lines = [_command(kind, c) for kind, c in shown]
    if len(found) > len(shown):
        lines.append(f"::{found[0][0]} title=qthreshold::and {len(found) - len(shown):,} more; see the summary of this step")
    return lines


def _command(kind: str, case: Case) -> str:
    title = printable(f"{case.kind} {case.title}")
    for raw, safe in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"), (":", "%3A"), (",", "%2C")):
        title = title.replace(raw, safe)
    text = printable(case.reason).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return f"::{kind} title={title}::{text}"


def outputs(result: CheckResult) -> str:
    """Lines to append to ``$GITHUB_OUTPUT``: one value a line.

    Args:
        result: What the gate said.
    """
    values: dict[str, object] = {
        "outcome": result.outcome, "passed": str(result.passed).lower(), "exit-code": result.exit_code, "answer": result.answer,
        "run-id": result.run_id, "device": result.device, "failed": len(result.having("failed")), "errors": len(result.having("error")),
        "cannot-tell": len(result.having("cannot_tell")),
    }  # fmt: skip
    for metric, value in result.metrics.items():
        values[metric.replace(".", "-").replace("_", "-")] = "" if value is None or value["best"] is None else f"{value['best']:.6g}"
    return "".join(f"{name}={one_line(str(value))}\n" for name, value in values.items())

"""``qthreshold judge``: a run, a data sheet, or a device's own calibration."""

from pathlib import Path
from typing import Annotated

import typer

from qthreshold.cli.common import AsOf, Json, Quiet, Rules, guarded, parse_day, parse_rules, show, show_json

__all__ = ["judge"]


def judge(
    directory: Annotated[Path | None, typer.Argument(metavar="DIR", help="Run directory; or give --qubits, or --device.")] = None,
    qubits: Annotated[int | None, typer.Option("--qubits", help="Connected working qubits, from a data sheet.")] = None,
    cnot_error: Annotated[float | None, typer.Option("--cnot-error", help="Mean C-NOT error, average gate infidelity.")] = None,
    low: Annotated[float | None, typer.Option("--low", help="Lower end of its 95 % interval.")] = None,
    high: Annotated[float | None, typer.Option("--high", help="Upper end of its 95 % interval.")] = None,
    device: Annotated[str | None, typer.Option("--device", metavar="SPEC", help="Judge a device by its own reported calibration.")] = None,
    confidence: Annotated[float | None, typer.Option("--confidence", help="Level at which to decide; the run's own, else 0.95.")] = None,
    rules: Rules = None,
    as_of: AsOf = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say which export-control entry is met: for a run, for stated numbers, or for a device's reported calibration.

    \b
    Examples:
      qthreshold judge runs/tonight --as-of 2026-01-01
      qthreshold judge --qubits 98 --cnot-error 7.9e-4
      qthreshold judge --device aer:edge-100
    """  # noqa: D301
    with guarded(directory):
        from qthreshold import workflow
        from qthreshold.errors import InputError
        from qthreshold.report.text import number, verdict_table

        day, ids = parse_day(as_of), parse_rules(rules)
        sheet = any(value is not None for value in (qubits, cnot_error, low, high))
        if (directory is not None) + sheet + (device is not None) != 1:
            raise InputError("give one of: a run directory, --qubits with --cnot-error, or --device")
        head, level = "", 0.95 if confidence is None else confidence
        if directory is not None:
            from qthreshold.store import RunDirectory

            verdicts = list(workflow.judge_run(RunDirectory.open(directory), rules=ids, as_of=day, confidence=confidence).verdicts)
        elif device is not None:
            n, error, silent, verdicts = workflow.judge_device(device, confidence=level, rules=ids, as_of=day)
            head = f"{device} reports {n} connected usable qubits and a mean two-qubit gate error of {number(error)}; no circuits were run."
            head += f" {silent} pairs report no error." if silent else ""
        else:
            if qubits is None or cnot_error is None:
                raise InputError("--qubits and --cnot-error go together, for example --qubits 98 --cnot-error 7.9e-4")
            verdicts = workflow.judge(qubits=qubits, cnot_error=cnot_error, low=low, high=high, confidence=level, rules=ids, as_of=day)
        shown = [v.as_dict() for v in verdicts]
        if json:
            show_json({"schema": "qthreshold/verdicts/1", "verdicts": shown})
        elif not quiet:
            if head:
                show(head)
            show(verdict_table(shown))
            show(f"Law as of {shown[0]['as_of'] if shown else '-'}. Evidence, not legal advice.")

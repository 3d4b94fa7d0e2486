"""``qthreshold judge``: a run, a data sheet, or a device's own calibration; and a lab's other equipment."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qthreshold.cli.common import (
    AsOf,
    Criteria,
    Json,
    Quiet,
    Rules,
    RulesDir,
    guarded,
    parse_criteria,
    parse_day,
    parse_rules,
    show,
    show_json,
)

if TYPE_CHECKING:
    from qthreshold.assess import Assessment

__all__ = ["judge"]


def judge(
    directory: Annotated[Path | None, typer.Argument(metavar="DIR", help="Run directory; or give --qubits, or --device.")] = None,
    qubits: Annotated[int | None, typer.Option("--qubits", help="Connected working qubits, from a data sheet.")] = None,
    cnot_error: Annotated[float | None, typer.Option("--cnot-error", help="Mean C-NOT error, average gate infidelity.")] = None,
    low: Annotated[float | None, typer.Option("--low", help="Lower end of its 95 % interval.")] = None,
    high: Annotated[float | None, typer.Option("--high", help="Upper end of its 95 % interval.")] = None,
    device: Annotated[str | None, typer.Option("--device", metavar="SPEC", help="Judge a device by its own reported calibration.")] = None,
    system: Annotated[str | None, typer.Option("--system", metavar="FILE", help="System sheet: judge cryostat, amplifiers and the like too.")] = None,
    what_if: Annotated[bool, typer.Option("--what-if", help="What each band would take, and the shots that settle it.")] = False,
    matrix: Annotated[bool, typer.Option("--matrix", help="The outcome under every reading of the law that the data allow.")] = False,
    frontier: Annotated[bool, typer.Option("--frontier", help="The best connected part of each size where a band begins.")] = False,
    confidence: Annotated[float | None, typer.Option("--confidence", help="Level at which to decide; the run's own, else 0.95.")] = None,
    criteria: Criteria = None,
    rules: Rules = None,
    rules_dir: RulesDir = None,
    as_of: AsOf = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say which export-control entry is met: for a run, for stated numbers, or for a device's reported calibration.

    \b
    Examples:
      qthreshold judge runs/tonight --as-of 2026-01-01 --matrix
      qthreshold judge --qubits 98 --cnot-error 7.9e-4 --low 7.7e-4 --high 8.1e-4
      qthreshold judge --qubits 98 --cnot-error 7.9e-4 --what-if
      qthreshold judge --device fake:FakeTorino --frontier
      qthreshold judge --system example-lab
    """  # noqa: D301
    with guarded(directory):
        from qthreshold import assess
        from qthreshold.errors import InputError

        day, ids = parse_day(as_of), parse_rules(rules, rules_dir)
        sheet = any(value is not None for value in (qubits, cnot_error, low, high))
        asked = (directory is not None) + sheet + (device is not None)
        if asked > 1 or not (asked or system is not None):
            raise InputError("give one of: a run directory, --qubits with --cnot-error, or --device; or --system")
        if not asked and (what_if or matrix or frontier):
            raise InputError("--what-if, --matrix and --frontier need a run directory, --qubits with --cnot-error, or --device")
        if sheet and (frontier or criteria is not None):
            raise InputError("--frontier and --criteria need single qubits and pairs: a run directory or --device, not a data sheet")
        common: dict[str, Any] = {"rules": ids, "as_of": day, "rules_dir": rules_dir}
        level = 0.95 if confidence is None else confidence
        found: Assessment | None = None
        if directory is not None:
            from qthreshold import workflow
            from qthreshold.store import RunDirectory

            run, other = RunDirectory.open(directory), parse_criteria(criteria)
            asks = any(value is not None for value in (ids, day, confidence, other))  # a question, which changes nothing in the run
            found = workflow.assess_run(run, confidence=confidence, criteria=other, **common) if asks else workflow.judge_run(run)
        elif device is not None:
            found = assess.assess_device(device, confidence=level, criteria=parse_criteria(criteria), **common)
        elif sheet:
            if qubits is None or cnot_error is None:
                raise InputError("--qubits and --cnot-error go together, for example --qubits 98 --cnot-error 7.9e-4")
            found = assess.assess_sheet(qubits=qubits, cnot_error=cnot_error, low=low, high=high, confidence=level, **common)
        neighbours = assess.assess_system(system, **common) if system is not None else ()
        if json:
            show_json(_document(found, neighbours))
        elif not quiet:
            _print(found, neighbours, matrix=matrix, frontier=frontier, what_if=what_if)


def _document(found: "Assessment | None", neighbours: Any) -> dict[str, Any]:
    """The JSON form: verdicts, and all that is known beside them."""
    from qthreshold.report.summary import make_matrix

    document: dict[str, Any] = {"schema": "qthreshold/verdicts/1", "verdicts": []}
    if found is not None:
        document["verdicts"] = [v.as_dict() for v in found.verdicts.verdicts]
        document |= {
            "disagreements": [v.as_dict() for v in found.verdicts.disagreements], "matrix": make_matrix(found.verdicts),
            "what_if": [w.as_dict() for w in found.what_ifs],
        }  # fmt: skip
        if found.reported is not None:
            document["device"] = found.reported.as_dict()
        if found.metrics is not None:
            document["connected_working_qubits"] = found.metrics.connected_working_qubits.as_dict()
            document["cnot_error"] = {"mean": found.metrics.mean.as_dict(), "median": found.metrics.median.as_dict()}
        if found.frontier is not None:
            document["frontier"] = _frontier(found)
    if neighbours:
        document["neighbours"] = [n.as_dict() for n in neighbours]
    return document


def _band_starts(found: "Assessment") -> list[int]:
    return sorted({b.min_qubits for w in found.what_ifs for b in w.bands})


def _frontier(found: "Assessment") -> dict[str, Any]:
    """The frontier with the qubits of the best part of each size where a band begins."""
    from qthreshold.report.summary import frontier_dict

    assert found.frontier is not None
    sizes = set(found.frontier.sizes.tolist())
    return frontier_dict(found.frontier) | {"registers": {str(k): found.frontier.qubits_of(k) for k in _band_starts(found) if k in sizes}}


def _print(found: "Assessment | None", neighbours: Any, *, matrix: bool, frontier: bool, what_if: bool) -> None:
    from qthreshold.interpretation import interpretation_dict
    from qthreshold.report import text
    from qthreshold.report.summary import make_matrix

    day = ""
    if found is not None:
        verdicts = [v.as_dict() for v in found.verdicts.verdicts]
        default = interpretation_dict(found.evidence[0].interpretation)
        day = verdicts[0]["as_of"]
        if found.reported is not None:
            show(text.reported_line(found.reported.as_dict()))
        if found.metrics is not None:
            show(text.measured_line(found.metrics.connected_working_qubits.as_dict(), found.metrics.mean.as_dict(), default))
        for line in text.disagreement_lines([v.as_dict() for v in found.verdicts.disagreements], default):
            show(line)
        show(text.verdict_table(verdicts))
        if matrix:
            show(text.matrix_table(make_matrix(found.verdicts), {v["instrument"]: v["jurisdiction"] for v in verdicts}))
        if frontier and found.frontier is not None:
            show(text.frontier_table(_frontier(found), _band_starts(found)))
        if what_if:
            show(text.what_if_table([w.as_dict() for w in found.what_ifs]))
    if neighbours:
        from qthreshold.report.system import system_table

        day = neighbours[0].as_of
        show(system_table(neighbours))
    show(f"Law as of {day}. Evidence, not legal advice.")

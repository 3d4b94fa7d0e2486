"""``qthreshold check``: the gate of a pipeline."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qthreshold.cli.common import Json, Quiet, guarded, parse_rules, show, show_json

if TYPE_CHECKING:
    from qthreshold.gate import Gate

__all__ = ["check"]


def check(
    directory: Annotated[Path | None, typer.Argument(metavar="DIR", help="A finished run.")] = None,
    fail_on: Annotated[
        str | None, typer.Option("--fail-on", metavar="met,undetermined,never", help="What fails the gate; met,undetermined by default.")
    ] = None,
    instruments: Annotated[
        str | None, typer.Option("--instruments", "--rules", metavar="ID,...", help="Rules that count; by default all that the run was judged by.")
    ] = None,
    gate_file: Annotated[Path | None, typer.Option("--gate", metavar="FILE.toml", help="Limits, rules and tolerances; see --gate-schema.")] = None,
    baseline: Annotated[
        str | None, typer.Option("--baseline", metavar="DIR|last-good|last:N", help="What the run must not be worse than; none by default.")
    ] = None,
    max_regression: Annotated[
        str | None, typer.Option("--max-regression", metavar="P%", help="Tolerated change for the worse; 5% by default.")
    ] = None,
    fdr: Annotated[
        str | None, typer.Option("--fdr", metavar="Q", help="Share of false ones among the changes called worse; 0.05 by default.")
    ] = None,
    history: Annotated[
        str | None,
        typer.Option("--history", metavar="FILE|URL", envvar="QTHRESHOLD_HISTORY", show_envvar=True, help="Where earlier runs are; see 'history'."),
    ] = None,
    record: Annotated[bool, typer.Option("--record", help="Add the run and the outcome to the history.")] = False,
    forms: Annotated[
        list[str] | None,
        typer.Option("--format", "-f", metavar="FORM[=PATH]", help="junit, github, openmetrics, prometheus, benchmark, markdown; repeatable."),
    ] = None,
    gate_schema: Annotated[bool, typer.Option("--gate-schema", help="Print the JSON schema of gate files.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Hold a run against rules, limits and a baseline. Decided on intervals; "cannot tell" is an outcome of its own.

    Exit code: 0 passed; 1 a rule is met or a limit exceeded; 3 cannot tell; 4 data missing or run unfinished, which says nothing of the
    device; 5 worse than the baseline.

    \b
    Examples:
      qthreshold check runs/tonight                             no rule may be met
      qthreshold check runs/tonight --baseline runs/last        nor may it be worse
      qthreshold check runs/tonight --gate gate.toml -f junit   limits; junit.xml
      qthreshold check runs/tonight --baseline last:7 --record --history lab.db
    """  # noqa: D301
    if gate_schema:
        from qthreshold.gate import Gate

        show_json(Gate.model_json_schema(by_alias=True))
        return
    with guarded(directory):
        _check(directory, _gate(gate_file, fail_on, instruments, baseline, max_regression, fdr), gate_file, history, record, forms or [], json, quiet)


def _check(
    directory: Path | None, gate: "Gate", gate_file: Path | None, where: str | None, record: bool, forms: list[str], json: bool, quiet: bool
) -> None:  # fmt: skip
    from qthreshold.errors import InputError

    if directory is None:
        raise InputError("name a run directory: qthreshold check DIR")


def _gate(
    path: Path | None, fail_on: str | None, instruments: str | None, baseline: str | None, max_regression: str | None, fdr: str | None
) -> "Gate":  # fmt: skip
    """The gate file with what the command line says instead."""
    from qthreshold.datafiles import load_toml
    from qthreshold.errors import InputError
    from qthreshold.gate import Gate, parse_share

    gate = load_toml(path, Gate, "gate file") if path is not None else Gate()
    return gate

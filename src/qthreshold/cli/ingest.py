"""``qthreshold ingest``: counts of a plan's circuits, or survival counts, from any control stack."""

from pathlib import Path
from typing import Annotated

import typer

from qthreshold.cli.common import (
    AsOf,
    Criteria,
    Json,
    Progress,
    Quiet,
    Rules,
    RulesDir,
    counted,
    guarded,
    parse_criteria,
    parse_day,
    parse_rules,
    show,
    show_json,
)
from qthreshold.cli.run import Confidence

__all__ = ["ingest"]

_OF_DECAYS = ("--name", "--connected", "--confidence", "--rules", "--as-of", "--rules-dir", "--criteria")


def ingest(
    context: typer.Context,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Offline run with FILE; new run directory with --decays.")],
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="Counts of the run's circuits, JSON or CSV.")] = None,
    bit_order: Annotated[
        str | None, typer.Option("--bit-order", metavar="qubit0-last|qubit0-first", help="End of FILE's bit strings where qubit 0 is; Qiskit: last.")
    ] = None,
    decays: Annotated[
        Path | None, typer.Option("--decays", metavar="FILE.csv", help="Survival counts of standard RB, one random sequence a line.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the device; the file's name by default.")] = None,
    connected: Annotated[
        int | None,
        typer.Option("--connected", metavar="N", help="Connected working qubits as the maker states them; by default those that the pairs connect."),
    ] = None,
    confidence: Confidence = 0.95,
    rules: Rules = None,
    as_of: AsOf = None,
    rules_dir: RulesDir = None,
    criteria: Criteria = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Bring counts that were measured elsewhere.

    FILE holds counts of circuits that 'qthreshold circuits export' wrote: JSON, or CSV with the columns circuit, bits and count.
    Each file holds whole circuits, all of it is taken or nothing, and several may follow each other; then 'qthreshold resume DIR'.

    FILE.csv of --decays, without a plan, holds survival counts of standard randomized benchmarking and is judged at once. It has
    the columns qubits (3, or 0-1 for a pair), length (in Cliffords), sample (tells sequences apart), survived and shots, in any
    order, under a header. Sequences must end in a random Pauli, so that they decay to 1/2 (qubits) or 1/4 (pairs). Without
    interleaved sequences the C-NOT error is an upper estimate: all error of a Clifford charged to its C-NOTs.

    \b
    Examples:
      qthreshold ingest lab counts.json
      qthreshold ingest lab night2.csv --bit-order qubit0-first
      qthreshold ingest tonight --decays counts.csv
      qthreshold ingest ions --decays zones.csv --connected 56 --name H9
      qthreshold ingest tonight --decays counts.csv --json > summary.json
    """  # noqa: D301
    with guarded(directory):
        from qthreshold import workflow
        from qthreshold.errors import InputError
        from qthreshold.report.text import render

        if file is not None and decays is None:
            _check_options(context, _OF_DECAYS, "--decays")
            _counts(directory, file, bit_order, json=json, quiet=quiet)
            return
        if file is not None or decays is None:
            raise InputError(
                "ingest takes one of two: FILE with counts of an offline run's circuits ('qthreshold ingest DIR FILE'), or survival counts "
                f"('--decays FILE.csv'); got {'neither' if file is None else 'both'}"
            )
        _check_options(context, ("--bit-order",), "FILE")
        summary = workflow.ingest(
            directory, decays, name=name, connected=connected, confidence=confidence, rules=parse_rules(rules, rules_dir), as_of=parse_day(as_of),
            rules_dir=rules_dir, criteria=parse_criteria(criteria),
        ).summary()  # fmt: skip
        counted, working = (int(summary[key]["best"]) for key in ("connected_working_qubits", "working_qubits"))
        if connected is None and counted < working:
            hint = f"working pairs of {decays} join {counted} of {working} working qubits; if the machine joins more, state how many with --connected"
            Progress(not quiet).say(hint)
        if json:
            show_json(summary)
        elif not quiet:
            show(render(summary, str(directory)))


def _check_options(context: typer.Context, foreign: tuple[str, ...], owner: str) -> None:
    """Options that say nothing to the form in use are a mistake."""
    from qthreshold.errors import InputError

    for option in foreign:
        source = context.get_parameter_source(option.removeprefix("--").replace("-", "_"))
        if source is not None and source.name == "COMMANDLINE":
            raise InputError(
                f"{option} goes with {owner} only" + ("; a planned run keeps what 'qthreshold plan' was told" if owner == "--decays" else "")
            )


def _counts(directory: Path, file: Path, bit_order: str | None, *, json: bool, quiet: bool) -> None:
    from qthreshold import workflow
    from qthreshold.store import RunDirectory

    done = workflow.ingest_counts(RunDirectory.open(directory), file, bit_order)
    if json:
        show_json({"ticket": done.ticket, "circuits": done.circuits, "shots": done.shots, "planned": done.planned, "missing": list(done.missing)})
    elif not quiet:
        show(f"{counted(done.circuits, 'circuit')}, {counted(done.shots, 'shot')} ingested from {file}.")
        if done.missing:
            show(f"{len(done.missing):,} of {done.planned:,} circuits are missing, first {done.missing[0]}.")
            show(f"Ingest the rest, or take what there is: qthreshold analyse {directory} --partial")
        else:
            show(f"All {done.planned:,} circuits have counts. Next: qthreshold resume {directory}")

"""``qthreshold ingest``: survival counts from any control stack."""

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
    guarded,
    parse_criteria,
    parse_day,
    parse_rules,
    show,
    show_json,
)
from qthreshold.cli.run import Confidence

__all__ = ["ingest"]


def ingest(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="New run directory.")],
    decays: Annotated[Path, typer.Option("--decays", metavar="FILE.csv", help="Survival counts of standard RB, one random sequence a line.")],
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
    """Judge survival counts of standard randomized benchmarking that were measured elsewhere.

    FILE.csv has the columns qubits (3, or 0-1 for a pair), length (in Cliffords), sample (tells sequences apart), survived
    and shots, in any order, under a header. Sequences must end in a random Pauli, so that they decay to 1/2 (qubits) or 1/4
    (pairs). Without interleaved sequences the C-NOT error is an upper estimate: all error of a Clifford charged to its C-NOTs.

    \b
    Examples:
      qthreshold ingest tonight --decays counts.csv
      qthreshold ingest ions --decays zones.csv --connected 56 --name H9
      qthreshold ingest tonight --decays counts.csv --json > summary.json
    """  # noqa: D301
    with guarded(directory):
        from qthreshold import workflow
        from qthreshold.report.text import render

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

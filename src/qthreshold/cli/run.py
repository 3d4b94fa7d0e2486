"""``qthreshold run``: the whole job."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qthreshold.cli.common import (
    AsOf,
    Cap,
    Criteria,
    Dask,
    Json,
    MaxMemory,
    NoProgress,
    Poll,
    Progress,
    Quiet,
    Rules,
    RulesDir,
    Wait,
    Workers,
    Yes,
    consent,
    guarded,
    note_directory,
    parse_criteria,
    parse_day,
    parse_rules,
    show,
    show_json,
)  # fmt: skip

if TYPE_CHECKING:
    from rich.console import RenderableType

    from qthreshold.workflow import Forecast, RunResult

__all__ = ["BackendSpec", "Confidence", "PriceFile", "RecipeSpec", "Seed", "job_table", "reported_in_part", "run", "show_result"]

BackendSpec = Annotated[
    str,
    typer.Option(
        "--backend",
        "-b",
        metavar="SPEC",
        help="aer:PROFILE, exact:PROFILE, fake:NAME, ibm:NAME, provider:MODULE:CALLABLE, offline:PROFILE; see 'qthreshold backends list'.",
    ),
]
RecipeSpec = Annotated[str, typer.Option("--recipe", "-r", metavar="NAME|FILE", help="quick, default, thorough, precise, or a TOML file.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of everything random.")]
Confidence = Annotated[float, typer.Option("--confidence", help="Level of all intervals and of the verdicts.")]


PriceFile = Annotated[Path | None, typer.Option("--prices", metavar="FILE.toml", help="What device time costs by your contract.")]


def job_table(forecast: "Forecast") -> "RenderableType":
    """One line per job: circuits, executions, seconds of device time, money where prices are known."""
    from rich import box
    from rich.table import Table

    money = forecast.currency is not None
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_footer=True)
    total = forecast.as_dict()
    heads = [("job", "all"), ("circuits", f"{total['circuits']:,}"), ("shots", ""), ("executions", f"{total['executions']:,}")]
    heads += [("device time", f"{total['estimated_seconds']:,.1f} s"), *([(str(forecast.currency), f"{total['money']:,.2f}")] if money else [])]
    for head, end in heads:
        table.add_column(head, end, justify="right")
    for j in forecast.jobs:
        row = [f"{j.number + 1}", f"{j.circuits:,}", f"{j.shots:,}", f"{j.executions:,}", f"{j.seconds:,.1f} s"]
        table.add_row(*row, *([f"{j.money:,.2f}"] if money else []))
    return table


def show_result(result: "RunResult", json: bool, quiet: bool) -> None:
    """The summary as JSON, or the report."""
    from qthreshold.report.text import render

    if json:
        show_json(result.summary())
    elif not quiet:
        show(render(result.summary(), str(result.directory)))


@contextlib.contextmanager
def reported_in_part(json: bool, quiet: bool) -> Iterator[None]:
    """Show what the other jobs gave before saying that some ended without a result."""
    from qthreshold.errors import JobFailedError

    try:
        yield
    except JobFailedError as error:
        if error.partial is not None:
            show_result(error.partial, json, quiet)
        raise


def run(
    backend: BackendSpec = "aer:heron-133",
    recipe: RecipeSpec = "default",
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="DIR", help="Run directory; default qthreshold-runs/DEVICE-TIME.")] = None,
    seed: Seed = 1,
    confidence: Confidence = 0.95,
    rules: Rules = None,
    as_of: AsOf = None,
    rules_dir: RulesDir = None,
    criteria: Criteria = None,
    workers: Workers = None,
    dask: Dask = None,
    max_memory: MaxMemory = None,
    prices: PriceFile = None,
    cap: Cap = None,
    yes: Yes = False,
    poll: Poll = None,
    wait: Wait = None,
    json: Json = False,
    quiet: Quiet = False,
    no_progress: NoProgress = False,
) -> None:
    """The whole job: plan, submit, collect, analyse, judge, report.

    \b
    Examples:
      qthreshold run                                a simulated 133-qubit device
      qthreshold run -b aer:tiny-5 -r quick -o try  five qubits, two seconds
      qthreshold run --json > summary.json          for scripts
      qthreshold run -b ibm:least-busy              a real device; costs first
      qthreshold run -b ibm:NAME --max-qpu-seconds 120    for scripts: a hard cap
      qthreshold run --dask tcp://10.0.0.5:8786     simulated on a cluster
    """  # noqa: D301
    with guarded():
        from qthreshold import workflow
        from qthreshold.patience import Patience

        price = workflow.load_prices(prices) if prices is not None else None
        with reported_in_part(json, quiet), Progress(not (quiet or no_progress)) as progress:

            def planned(forecast: "Forecast") -> None:
                note_directory(forecast.directory)
                progress.say(f"{forecast.directory}: {forecast.line()}")

            result = workflow.run(
                backend, recipe, out=out, seed=seed, confidence=confidence, rules=parse_rules(rules, rules_dir), as_of=parse_day(as_of),
                rules_dir=rules_dir, criteria=parse_criteria(criteria), workers=workers, dask=dask, max_memory=max_memory, watch=progress,
                planned=planned, prices=price, consent=consent(cap, yes, progress), patience=Patience.usual(longest=poll, give_up=wait),
            )  # fmt: skip
        show_result(result, json, quiet)

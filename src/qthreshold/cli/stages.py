"""One command per stage: plan, submit, collect, analyse, report; resume; verify."""

from pathlib import Path
from typing import Annotated

import typer

from qthreshold.cli.common import (
    AsOf,
    Criteria,
    Directory,
    Json,
    NoProgress,
    Progress,
    Quiet,
    Rules,
    RulesDir,
    Workers,
    guarded,
    parse_criteria,
    parse_day,
    parse_rules,
    show,
    show_json,
)
from qthreshold.cli.run import BackendSpec, Confidence, RecipeSpec, Seed, cost_line

__all__ = ["analyse", "collect", "plan", "report", "resume", "submit", "verify"]


def plan(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="New run directory.")],
    backend: BackendSpec = "aer:heron-133",
    recipe: RecipeSpec = "default",
    seed: Seed = 1,
    confidence: Confidence = 0.95,
    rules: Rules = None,
    as_of: AsOf = None,
    rules_dir: RulesDir = None,
    criteria: Criteria = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Lay out every circuit in a new run directory, and say what it costs. Nothing is run.

    \b
    Example:
      qthreshold plan runs/tonight -b aer:edge-100 -r thorough
    """  # noqa: D301
    with guarded(directory):
        import dataclasses

        from qthreshold import workflow
        from qthreshold.backends import open_backend
        from qthreshold.plan import Plan, plan_cost

        with open_backend(backend) as opened:
            made = workflow.make_run(
                directory, backend=opened, recipe=workflow.load_recipe(recipe, parse_criteria(criteria)), seed=seed, confidence=confidence,
                rules=parse_rules(rules, rules_dir), as_of=parse_day(as_of), rules_dir=rules_dir,
            )  # fmt: skip
            planned = made.read_record("plan.npz", Plan)
            cost = plan_cost(planned, opened.device)
        if json:
            show_json({"plan_id": planned.id, **dataclasses.asdict(cost)})
        elif not quiet:
            show(f"plan {planned.id[:12]}: {len(planned.qubits)} qubits, {len(planned.edges)} pairs; {cost_line(cost)}.")
            show(f"Next: qthreshold submit {directory}")


def _open(directory: Path):  # type: ignore[no-untyped-def]
    from qthreshold.store import RunDirectory

    return RunDirectory.open(directory)


def _nothing_to_run(directory: Path, quiet: bool) -> None:
    if not quiet:
        show(f"Nothing to run: {directory} was made from a decay table. Next: qthreshold analyse {directory}")


def submit(directory: Directory, quiet: Quiet = False) -> None:
    """Hand over what has not been handed over yet."""
    with guarded(directory):
        from qthreshold import workflow
        from qthreshold.backends import open_backend

        run = _open(directory)
        if workflow.measured_elsewhere(run):
            _nothing_to_run(directory, quiet)
            return
        with open_backend(workflow.read_header(run)["backend"]) as backend:
            workflow.submit(run, backend)
        if not quiet:
            show(f"{len(run.names('tickets'))} tickets submitted. Next: qthreshold collect {directory}")


def collect(directory: Directory, workers: Workers = None, quiet: Quiet = False, no_progress: NoProgress = False) -> None:
    """Fetch the counts that are still missing."""
    with guarded(directory):
        from qthreshold import workflow
        from qthreshold.backends import open_backend

        run = _open(directory)
        if workflow.measured_elsewhere(run):
            _nothing_to_run(directory, quiet)
            return
        with Progress(not (quiet or no_progress)) as progress, open_backend(workflow.read_header(run)["backend"], workers=workers) as backend:
            workflow.collect(run, backend, progress)
        if not quiet:
            show(f"{len(run.names('counts'))} of {len(run.names('tickets'))} tickets collected. Next: qthreshold analyse {directory}")


def analyse(directory: Directory, quiet: Quiet = False) -> None:
    """Fit the counts or the decay table: errors of every qubit and pair, device metrics. Offline and repeatable."""
    with guarded(directory):
        from qthreshold import workflow

        workflow.analyse(_open(directory))
        if not quiet:
            show(f"analysed. Next: qthreshold judge {directory}")


def report(directory: Directory, json: Json = False, quiet: Quiet = False) -> None:
    """Write summary.json and print the report. Offline and repeatable."""
    with guarded(directory):
        from qthreshold import workflow
        from qthreshold.report.text import render

        summary = workflow.report(_open(directory)).summary()
        if json:
            show_json(summary)
        elif not quiet:
            show(render(summary, str(directory)))


def resume(directory: Directory, workers: Workers = None, json: Json = False, quiet: Quiet = False, no_progress: NoProgress = False) -> None:
    """Finish whatever is left of an interrupted run."""
    with guarded(directory):
        from qthreshold import workflow
        from qthreshold.report.text import render

        with Progress(not (quiet or no_progress)) as progress:
            summary = workflow.resume(_open(directory), workers=workers, watch=progress).summary()
        if json:
            show_json(summary)
        elif not quiet:
            show(render(summary, str(directory)))


def verify(directory: Directory, quiet: Quiet = False) -> None:
    """Compare every file with the manifest's SHA-256. Exit code 4 if any differs."""
    with guarded(directory):
        from qthreshold.errors import StoreError

        run = _open(directory)
        faults = run.verify()
        if faults:
            raise StoreError(f"{directory}: {'; '.join(faults)}")
        if not quiet:
            show(f"{directory}: every file matches the manifest.")

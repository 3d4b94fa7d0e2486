"""One command per stage: plan, submit, collect, analyse; resume; verify."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from qthreshold.cli.common import (
    AsOf,
    Cap,
    Criteria,
    Dask,
    Directory,
    Json,
    MaxMemory,
    NoProgress,
    Poll,
    Progress,
    Quiet,
    Resubmit,
    Retry,
    Rules,
    RulesDir,
    Wait,
    Workers,
    Yes,
    consent,
    guarded,
    parse_criteria,
    parse_day,
    parse_rules,
    show,
    show_json,
    shown,
)
from qthreshold.cli.run import BackendSpec, Confidence, PriceFile, RecipeSpec, Seed, job_table, reported_in_part, show_result

__all__ = ["analyse", "cancel", "collect", "plan", "resume", "submit", "verify"]


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
    prices: PriceFile = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Lay out every circuit in a new run directory, and say what it costs. Nothing is run.

    \b
    Examples:
      qthreshold plan runs/tonight -b aer:edge-100 -r thorough
      qthreshold plan runs/tonight -b ibm:ibm_torino --prices contract.toml
    """  # noqa: D301
    with guarded(directory):
        from qthreshold import workflow
        from qthreshold.backends import open_backend

        price = workflow.load_prices(prices) if prices is not None else None
        with open_backend(backend) as opened:
            made = workflow.make_run(
                directory, backend=opened, recipe=workflow.load_recipe(recipe, parse_criteria(criteria)), seed=seed, confidence=confidence,
                rules=parse_rules(rules, rules_dir), as_of=parse_day(as_of), rules_dir=rules_dir,
            )  # fmt: skip
        forecast = workflow.forecast(made, price)
        if json:
            show_json(forecast.as_dict())
        elif not quiet:
            show(f"plan {forecast.plan_id[:12]}: {forecast.qubits} qubits, {forecast.pairs} pairs; {forecast.line()}.")
            if forecast.jobs:
                show(job_table(forecast))
            offline = workflow.is_offline(made)
            show(f"Next: qthreshold {'circuits export' if offline else 'submit'} {directory}")


def _open(directory: Path):  # type: ignore[no-untyped-def]
    from qthreshold.store import RunDirectory

    return RunDirectory.open(directory)


def _nothing_to_run(directory: Path, quiet: bool) -> None:
    if not quiet:
        show(f"Nothing to run: {directory} was made from a decay table. Next: qthreshold analyse {shown(directory)}")


def submit(
    directory: Directory,
    cap: Cap = None,
    yes: Yes = False,
    retry: Retry = False,
    resubmit: Resubmit = False,
    json: Json = False,
    quiet: Quiet = False,
    no_progress: NoProgress = False,
) -> None:
    """Hand over what has not been handed over yet. Jobs that cost device time are sent only with consent: yours at the terminal, or a cap.

    \b
    Examples:
      qthreshold submit runs/tonight --max-qpu-seconds 120
      qthreshold submit runs/tonight --retry   jobs that failed, once more
    """  # noqa: D301
    with guarded(directory):
        from qthreshold import workflow
        from qthreshold.backends import open_backend
        from qthreshold.jobs import read_journal

        run = _open(directory)
        if workflow.measured_elsewhere(run):
            _nothing_to_run(directory, quiet)
            return
        header, before = workflow.read_header(run), read_journal(run)
        with Progress(not (quiet or no_progress)) as progress, open_backend(header["backend"]) as backend:
            workflow.submit(run, backend, consent=consent(cap, yes, progress), retry=retry, resubmit=resubmit, watch=progress)
        after = read_journal(run)
        if json:
            show_json([{"ticket": a.ticket, "tag": a.tag, "job_id": a.job_id, "state": a.state} for a in after.attempts.values()])
        elif not quiet:
            tickets = run.names("tickets")
            if "limits" not in header:
                show(f"{len(tickets)} tickets submitted. Next: qthreshold collect {shown(directory)}")
                return
            sent = {a.job_id for a in after.attempts.values()} - {a.job_id for a in before.attempts.values()}
            ended = sum(getattr(after.last(n), "state", "") == "ended" for n in range(len(tickets)))
            show(f"{len(sent)} job{'' if len(sent) == 1 else 's'} sent, of a run of {len(tickets)}.")
            if ended and not retry:
                show(f"{ended} ended without a result: 'qthreshold submit {shown(directory)} --retry' sends them again.")
            if not header.get("paid"):
                show(f"They end with this process; 'qthreshold resume {shown(directory)} --retry' runs and fetches them in one.")
            else:
                show(f"Next: qthreshold collect {shown(directory)}")


def collect(
    directory: Directory,
    workers: Workers = None,
    dask: Dask = None,
    max_memory: MaxMemory = None,
    poll: Poll = None,
    wait: Wait = None,
    quiet: Quiet = False,
    no_progress: NoProgress = False,
) -> None:
    """Fetch the counts that are still missing; waits for jobs that have not ended. Works from another machine with a copy of the run.

    \b
    Examples:
      qthreshold collect runs/tonight            waits; Ctrl-C leaves jobs running
      qthreshold collect runs/tonight --wait 0   takes what is there
    """  # noqa: D301
    with guarded(directory):
        from qthreshold import workflow
        from qthreshold.backends import open_backend
        from qthreshold.patience import Patience
        from qthreshold.pool import Pool

        run = _open(directory)
        if workflow.measured_elsewhere(run):
            _nothing_to_run(directory, quiet)
            return
        patience = Patience.usual(longest=poll, give_up=wait)
        with (
            Progress(not (quiet or no_progress)) as progress,
            Pool(workers, dask, max_memory, say=progress.say) as pool,
            open_backend(workflow.read_header(run)["backend"], pool) as backend,
        ):
            workflow.collect(run, backend, progress, patience)
        if not quiet:
            show(f"{len(run.names('counts'))} of {len(run.names('tickets'))} tickets collected. Next: qthreshold analyse {shown(directory)}")


def cancel(directory: Directory, json: Json = False, quiet: Quiet = False) -> None:
    """Cancel the jobs of a run that have not ended. What was collected stays; 'qthreshold resume DIR --retry' sends the rest again."""
    with guarded(directory):
        from qthreshold import workflow
        from qthreshold.backends import open_backend

        run = _open(directory)
        ended = []
        if not workflow.measured_elsewhere(run):
            with open_backend(workflow.read_header(run)["backend"]) as backend:
                ended = workflow.cancel(run, backend)
        if json:
            show_json([{"ticket": a.ticket, "job_id": a.job_id, "state": state, "charged_seconds": a.charged} for a, state in ended])
        elif not quiet:
            for a, state in ended:
                show(f"job {a.ticket + 1} ({a.job_id}): {state}")
            show("Nothing was under way." if not ended else f"Results of jobs that are done: qthreshold collect {shown(directory)}")


def analyse(
    directory: Directory,
    partial: Annotated[bool, typer.Option("--partial", help="Take what counts there are; the report names the missing circuits.")] = False,
    workers: Workers = None,
    dask: Dask = None,
    max_memory: MaxMemory = None,
    quiet: Quiet = False,
) -> None:
    """Fit the counts or the decay table: errors of every qubit and pair, device metrics. Offline and repeatable."""
    with guarded(directory):
        from qthreshold import workflow
        from qthreshold.pool import Pool

        with Pool(workers, dask, max_memory, say=lambda text: None if quiet else print(text, file=sys.stderr)) as pool:
            pool.connect()
            workflow.analyse(_open(directory), partial=partial, pool=pool)
        if not quiet:
            show(f"analysed. Next: qthreshold judge {shown(directory)}")


def resume(
    directory: Directory,
    workers: Workers = None,
    dask: Dask = None,
    max_memory: MaxMemory = None,
    cap: Cap = None,
    yes: Yes = False,
    retry: Retry = False,
    resubmit: Resubmit = False,
    poll: Poll = None,
    wait: Wait = None,
    json: Json = False,
    quiet: Quiet = False,
    no_progress: NoProgress = False,
) -> None:
    """Finish whatever is left of an interrupted run. Jobs that were sent are never sent twice.

    \b
    Examples:
      qthreshold resume runs/tonight
      qthreshold resume runs/tonight --retry --max-qpu-seconds 200
    """  # noqa: D301
    with guarded(directory):
        from qthreshold import workflow
        from qthreshold.patience import Patience

        run = _open(directory)
        with reported_in_part(json, quiet), Progress(not (quiet or no_progress)) as progress:
            result = workflow.resume(
                run, workers=workers, dask=dask, max_memory=max_memory, watch=progress, consent=consent(cap, yes, progress), retry=retry,
                resubmit=resubmit, patience=Patience.usual(longest=poll, give_up=wait),
            )  # fmt: skip
        show_result(result, json, quiet)


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

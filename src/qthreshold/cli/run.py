"""``qthreshold run``: the whole job."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qthreshold.cli.common import (
    AsOf,
    Criteria,
    Json,
    NoProgress,
    Progress,
    Quiet,
    Rules,
    RulesDir,
    Workers,
    guarded,
    note_directory,
    parse_criteria,
    parse_day,
    parse_rules,
    show,
    show_json,
)  # fmt: skip

if TYPE_CHECKING:
    from qthreshold.plan import PlanCost
    from qthreshold.store import RunDirectory

__all__ = ["BackendSpec", "Confidence", "RecipeSpec", "Seed", "cost_line", "run"]

BackendSpec = Annotated[
    str, typer.Option("--backend", "-b", metavar="SPEC", help="aer:PROFILE (see 'qthreshold backends list'), aer:FILE.toml or synthetic:PROFILE.")
]
RecipeSpec = Annotated[str, typer.Option("--recipe", "-r", metavar="NAME|FILE", help="quick, default, thorough, or a TOML file.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of everything random.")]
Confidence = Annotated[float, typer.Option("--confidence", help="Level of all intervals and of the verdicts.")]


def cost_line(cost: "PlanCost") -> str:
    """What a plan costs, in a sentence."""
    return (
        f"{cost.circuits:,} circuits, {cost.executions:,} executions, longest {cost.longest_circuit:,} Cliffords"
        f" ({1e6 * cost.longest_seconds:,.0f} us); about {cost.estimated_seconds:,.0f} s of device time on hardware"
    )


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
    """  # noqa: D301
    with guarded():
        from qthreshold import workflow
        from qthreshold.report.text import render

        with Progress(not (quiet or no_progress)) as progress:

            def planned(directory: "RunDirectory", cost: "PlanCost") -> None:
                note_directory(directory.path)
                progress.say(f"{directory.path}: {cost_line(cost)}")

            result = workflow.run(
                backend, recipe, out=out, seed=seed, confidence=confidence, rules=parse_rules(rules, rules_dir), as_of=parse_day(as_of),
                rules_dir=rules_dir, criteria=parse_criteria(criteria), workers=workers, watch=progress, planned=planned,
            )  # fmt: skip
        summary: dict[str, Any] = result.summary()
        if json:
            show_json(summary)
        elif not quiet:
            show(render(summary, str(result.directory)))

"""``qthreshold report``: the page of a run, the same in other forms, and several runs side by side."""

import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qthreshold.cli.common import Json, Quiet, guarded, show, show_json, shown

if TYPE_CHECKING:
    from qthreshold.drift import DeviceDrift
    from qthreshold.workflow import RunResult

__all__ = ["report"]


def report(
    directories: Annotated[list[Path], typer.Argument(metavar="DIR", help="A run directory; several for one page side by side.")],
    forms: Annotated[
        str, typer.Option("--format", "-f", metavar="FORM,...", help="html, md, json, csv, svg, png, pdf; several with commas.")
    ] = "html",
    pairs: Annotated[str, typer.Option("--pairs", metavar="A-B,...", help="Pairs whose decays are shown; 'all'; else worst, median, best.")] = "",
    also: Annotated[
        list[str] | None,
        typer.Option("--also", metavar="DIR|LABEL=QUBITS,ERROR", help="Another run or device as a labelled point on the staircase; repeatable."),
    ] = None,
    history: Annotated[
        str | None,
        typer.Option("--history", metavar="FILE|URL", help="Adds what drifts: trends, steps and alarms of this device; see 'history'."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="DIR", help="Folder for the files; else the run directory.")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write report.html and summary.json, and print the answer. Offline and repeatable.

    \b
    Examples:
      qthreshold report runs/tonight                      the page
      qthreshold report runs/tonight --format md,csv,pdf  for tickets, sheets
      qthreshold report runs/tonight --pairs 3-4,7-8      decays of these pairs
      qthreshold report runs/tonight --also runs/lastweek one more point
      qthreshold report runs/tonight --also 'Data sheet=105,3.8e-3'
      qthreshold report runs/tonight --history lab.db     what drifts, too
      qthreshold report runs/mon runs/tue --out both      side by side
    """  # noqa: D301
    with guarded(directories[0]):
        wanted = [f.strip() for f in forms.split(",") if f.strip()]
        if len(directories) > 1:
            _several(directories, wanted, [pairs, also, history], out, json=json, quiet=quiet)
        else:
            _one(directories[0], wanted, pairs, also or [], history, out, json=json, quiet=quiet)


def _one(
    directory: Path, forms: list[str], pairs: str, also: list[str], history: str | None, out: Path | None, *, json: bool, quiet: bool
) -> None:  # fmt: skip
    from qthreshold import workflow
    from qthreshold.errors import InputError
    from qthreshold.report.text import render
    from qthreshold.store import RunDirectory

    if (pairs or also) and not {"html", "svg", "png", "pdf"} & set(forms):
        raise InputError(f"--pairs and --also change figures, and {', '.join(forms)} shows none; add html, svg, png or pdf to --format")
    run = RunDirectory.open(directory)
    drift = None if history is None else functools.partial(_drift, history)
    result = workflow.report(run, forms, pairs=pairs, also=also, out=out, drift=drift)
    if json:
        show_json(result.summary())
    elif not quiet:
        show(render(result.summary(), str(directory)))
        if out is not None or forms != ["html"]:
            show(f"Written to {shown(out if out is not None else directory)}: {', '.join(forms)}.")


def _drift(where: str, device: str) -> "DeviceDrift | None":
    """What the history says of a device; nothing, with a word, where it does not know the device yet."""
    from qthreshold.ci import drift_of
    from qthreshold.errors import InputError
    from qthreshold.history import open_history

    with open_history(where, create=False) as history:
        try:
            return drift_of(history, device)
        except InputError as error:
            print(f"qthreshold: the page says nothing of drift: {error}", file=sys.stderr)
            return None


def _several(directories: list[Path], forms: list[str], of_one: list[Any], out: Path | None, *, json: bool, quiet: bool) -> None:
    from qthreshold import workflow
    from qthreshold.errors import InputError
    from qthreshold.report.runs import run_labels, runs_dict, runs_files
    from qthreshold.store import RunDirectory, write_folder

    if any(of_one):
        raise InputError("--pairs, --also and --history go with one run only")
    if out is None:
        raise InputError("several runs need --out DIR, a folder for their page")
    results: list[RunResult] = [workflow.load_result(RunDirectory.open(d)) for d in directories]
    write_folder(out, runs_files(results, forms))
    if json:
        show_json(runs_dict(results))
    elif not quiet:
        show(f"{', '.join(run_labels(results))}: side by side in {shown(out)} ({', '.join(forms)}).")
